package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/device"
)

const firstRegister = `{"message_type":"register","sender_id":"phone","message_id":"m-1","timestamp":"2024-01-15T10:30:00","data":{"device_id":"phone","role":"mobile",
	"platform":"android","platform_details":{"release":"13","sdk":33},"capabilities":{"computational":["python"],"services":["http"],"automation":[]},"tags":["kitchen"],
	"cpu_count":8,"memory_total_gb":7.5,"storage_total_gb":118.4,"hostname":"pixel","ip_address":"192.168.1.20","has_psutil":true,"timestamp":1705314600.25}}`

func TestReadFirst(t *testing.T) {
	object := `{"a":"}\"\\","b":[{"c":{}}]}`
	for _, r := range []io.Reader{strings.NewReader(object), strings.NewReader(object + "\n"), strings.NewReader(object + `{"another":1}`),
		iotest.OneByteReader(strings.NewReader(object)), iotest.DataErrReader(strings.NewReader(object))} {
		if b, err := ReadFirst(r); string(b) != object || err != nil {
			t.Errorf("%q, %v", b, err)
		}
	}
	for text, want := range map[string]error{`{"a":"}`: ErrJSON, `{"a":{}`: ErrJSON, "": ErrJSON, `{"a":"` + strings.Repeat("x", MaxFirst-7) + `"}`: ErrTooLarge, "{" + strings.Repeat(" ", MaxFirst): ErrTooLarge} {
		if _, err := ReadFirst(strings.NewReader(text)); !errors.Is(err, want) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	whole := `{"a":"` + strings.Repeat("x", MaxFirst-8) + `"}`
	if b, err := ReadFirst(strings.NewReader(whole)); string(b) != whole || err != nil {
		t.Errorf("%d bytes of %d, %v", len(b), len(whole), err)
	}
	if _, err := ReadFirst(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(object)))); !errors.Is(err, iotest.ErrTimeout) {
		t.Error(err)
	}
}

func TestParseFirst(t *testing.T) {
	percent, free, charging := 45.5, int64(2.5*gib), true
	for text, want := range map[string]any{
		firstRegister: &FirstRegister{"phone", device.Profile{Info: device.Info{Hostname: "pixel", Platform: "android", Role: "mobile"},
			Hardware: device.Hardware{CPUCores: 8, Memory: 7.5 * gib, Disk: 127131031961}, Tags: []string{"kitchen"}, Capabilities: []string{"computational/python", "services/http"}}},
		`{"message_type":"register","sender_id":"x1","data":{"cpu_count":null,"memory_total_gb":null,"tags":null,"capabilities":null,"role":null}}`: &FirstRegister{Device: "x1"},
		`{"message_type":"heartbeat","sender_id":"x1","data":{"metrics":{"cpu_usage":45.5,"memory_usage":null,"memory_available_gb":2.5,"load":[1],"temperature_max":45.5,"battery_percent":45.5,"battery_charging":true}}}`: &FirstHeartbeat{"x1",
			device.Metrics{CPU: &percent, MemoryFree: &free, Temperature: &percent, Battery: &percent, Charging: &charging}},
		`{"message_type":"heartbeat","sender_id":"cli","data":{"device_id":"x2"}}`:                   &FirstHeartbeat{Device: "x2"},
		`{"message_type":"status","message_id":7}`:                                                   &FirstStatus{},
		`{"message_type":"status","data":{"role":"mobile"}}`:                                         &FirstStatus{"mobile"},
		`{"message_type":"list_devices","timestamp":1705314600.5,"data":null}`:                       &FirstList{},
		`{"message_type":"list_devices","data":{"status":"online","role":"mobile","limit":5}}`:       &FirstList{"online", "mobile"},
		`{"message_type":"device_info","sender_id":null,"message_id":null,"data":{"device_id":"x"}}`: &FirstInfo{"x"},
	} {
		m, err := ParseFirst([]byte(text))
		if err != nil || !reflect.DeepEqual(m.Body, want) {
			t.Errorf("%.80s: %+v, %v", text, m.Body, err)
		}
	}
}

func TestParseFirstRefuses(t *testing.T) {
	register := func(field string) string {
		return `{"message_type":"register","sender_id":"x1","message_id":"m","data":{` + field + `}}`
	}
	for text, want := range map[string]string{
		register(`"device_id":"no name"`):                           "device_id: not a device name",
		register(`"device_id":5`):                                   "device_id cannot be a number",
		register(`"cpu_count":-1`):                                  "cpu_count: a number from 0 to 4096",
		register(`"cpu_count":2.5`):                                 "cpu_count: a whole number",
		register(`"memory_total_gb":1e300`):                         "memory_total_gb: a number from 0",
		register(`"storage_total_gb":"big"`):                        "storage_total_gb cannot be a string",
		register(`"role":"` + strings.Repeat("x", 65) + `"`):        "role: at most 64 bytes",
		register(`"hostname":"\u001b[2J"`):                          "hostname: at most 255 bytes, all of them printable",
		register(`"platform":"a\u202eb"`):                           "platform: at most",
		register(`"tags":["` + strings.Repeat(`a","`, 32) + `b"]`):  "tags: at most 32",
		register(`"tags":[""]`):                                     "tags: one of them is empty",
		register(`"capabilities":{"services":[1]}`):                 "capabilities.services cannot be a number",
		register(`"capabilities":{"automation":["\n"]}`):            "capabilities.automation: at most 64",
		register(`"role":"a","Role":"b"`):                           "a field that stands twice",
		register(`"cpu_count":NaN`):                                 "no JSON value begins so",
		`{"message_type":"register","message_id":"m","data":{}}`:    "device_id: not a device name",
		`{"message_type":"register","message_id":"m","data":[]}`:    "data: an object",
		`{"message_type":["register"],"message_id":"m"}`:            "message_type cannot be a array",
		`{"message_type":"task_submit","message_id":"m"}`:           "Unknown message type: task_submit",
		`{"message_type":"a\u001b` + strings.Repeat("é", 40) + `"}`: "Unknown message type: a?" + strings.Repeat("é", 31),
		`{}`: "Unknown message type: ",
		`{"message_type":"heartbeat","data":{"device_id":"x","metrics":{"cpu_usage":-1}}}`:   "metrics.cpu_usage: a number from 0 to 1000",
		`{"message_type":"heartbeat","data":{"device_id":"x","metrics":{"cpu_usage":"hi"}}}`: "metrics.cpu_usage cannot be a string",
		`{"message_type":"status","data":{"role":"\u0007"}}`:                                 "role: at most 64 bytes",
		`{"message_type":"list_devices","data":{"status":true}}`:                             "status cannot be a bool",
		`{"message_type":"device_info","data":{}}`:                                           "device_id: which one?",
		`[]`:                           "cannot be a array",
		`{"message_type":"status"} {}`: "something stands behind",
		strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40): "nested deeper",
	} {
		m, err := ParseFirst([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, ErrJSON) && !errors.Is(err, ErrField) && !errors.Is(err, ErrUnknownType) {
			t.Errorf("%.80s: %v, want %q", text, err, want)
			continue
		}
		var reply struct {
			Type string `json:"message_type"`
			Data struct {
				Error    string  `json:"error"`
				Original *string `json:"original_message_id"`
			}
		}
		b := FirstError(&m, time.Now(), err)
		if json.Unmarshal(b, &reply) != nil || reply.Type != "error" || !strings.Contains(reply.Data.Error, want) || len(b) > MaxFirstReply {
			t.Errorf("answer %s", b)
		}
		if strings.Contains(text, `"message_id":"m"`) && !errors.Is(err, ErrJSON) && (reply.Data.Original == nil || *reply.Data.Original != "m") {
			t.Errorf("%.80s is not named in the answer: %s", text, b)
		}
	}
	// A load average that is taken for a percentage is none, but no reason to lose a device either.
	m, err := ParseFirst([]byte(`{"message_type":"heartbeat","sender_id":"x","data":{"metrics":{"cpu_usage":130.5}}}`))
	if err != nil || *m.Body.(*FirstHeartbeat).Metrics.CPU != 100 {
		t.Errorf("%+v, %v", m.Body, err)
	}
}

// devicesOf are devices as large as any may be that has a key, and so says of itself what it likes.
func devicesOf(n, size int) (all []device.Device) {
	for i := range n {
		long := strings.Repeat("\"\u2028ü\x1b", size)
		d := device.Device{ID: fmt.Sprintf("device-%04d", i), Status: device.Online, Address: "2001:db8:1:2:3:4:5:6", LastSeen: time.Unix(1_700_000_000, 0), Reason: long}
		d.Profile.Info = device.Info{Role: fmt.Sprintf("role%d%s", i, long), Platform: fmt.Sprintf("p%d%s", i, long), Hostname: long}
		d.Profile.Hardware = device.Hardware{CPUCores: 4, Memory: 4 * gib, Disk: 32 * gib}
		for j := range min(size, 100) {
			d.Profile.Tags = append(d.Profile.Tags, fmt.Sprint(j, long))
			d.Profile.Capabilities = append(d.Profile.Capabilities, fmt.Sprint(j, long))
		}
		all = append(all, d)
	}
	return all
}

// An answer is one whole object of at most 8192 bytes, with the true counts, however many devices there are and whatever they say of themselves.
func TestFirstRepliesAreBounded(t *testing.T) {
	to := &FirstMessage{ID: json.RawMessage(`"` + strings.Repeat("i", 120) + `"`)}
	for _, n := range []int{0, 1, 5, 20, 500} {
		for _, size := range []int{0, 1, 3, 500} {
			list, overview := NewFirstListed(&FirstList{Status: "online"}), NewFirstOverview(&FirstStatus{}, time.Now())
			for _, d := range devicesOf(n, size) {
				list.Add(&d)
				overview.Add(&d)
				one := FirstAck(to, time.Now(), NewFirstDescribed(&d, make([]FirstBeat, 8)))
				if CheckJSON(one) != nil || len(one) > MaxFirstReply || !bytes.Contains(one, []byte(`"recent_heartbeats":[{`)) {
					t.Fatalf("%d bytes: %.200s", len(one), one)
				}
			}
			var got struct {
				Type string `json:"message_type"`
				Data struct {
					Result struct {
						Devices []map[string]any
						Count   int
						List    []string `json:"device_list"`
						Online  int      `json:"online_devices"`
						Stats   struct {
							Total  int     `json:"total_devices"`
							Health float64 `json:"health_percentage"`
						} `json:"cluster_stats"`
					}
				}
			}
			for what, b := range map[string][]byte{"list": FirstAck(to, time.Now(), list), "status": FirstAck(to, time.Now(), overview)} {
				if err := errors.Join(CheckJSON(b), json.Unmarshal(b, &got)); err != nil || len(b) > MaxFirstReply || got.Type != "ack" {
					t.Fatalf("%s of %d: %d bytes, %v: %.200s", what, n, len(b), err, b)
				}
				if n > 20 && len(b) < MaxFirstReply*3/4 {
					t.Errorf("%s of %d: only %d bytes", what, n, len(b))
				}
			}
			r := &got.Data.Result
			if r.Count != n || r.Online != n || r.Stats.Total != n || n > 0 && r.Stats.Health != 100 {
				t.Errorf("of %d devices: count %d, online %d, %+v", n, r.Count, r.Online, r.Stats)
			}
			if few := min(n, 5); size < 500 && (len(r.Devices) < few || len(r.List) < few) {
				t.Errorf("of %d devices %d and %d are listed", n, len(r.Devices), len(r.List))
			}
			if n == 20 && size <= 3 && len(r.Devices) != n {
				t.Errorf("%d of %d devices are listed, and fields could have been left out", len(r.Devices), n)
			}
			for _, d := range r.Devices {
				for _, field := range []string{"device_id", "role", "status", "platform", "ip_address", "last_heartbeat", "hardware", "tags"} {
					if d[field] == nil {
						t.Fatalf("no %s in %v", field, d)
					}
				}
			}
		}
	}
}

func TestFirstFilters(t *testing.T) {
	all := devicesOf(3, 0)
	all[0].Profile.Info.Role, all[1].Profile.Info.Role = "mobile", "mobile"
	all[1].Status, all[2].Status = device.Offline, device.Draining
	for which, want := range map[FirstList]int{{}: 3, {Status: "online"}: 2, {Status: "offline"}: 1, {Role: "mobile"}: 2, {"online", "mobile"}: 1, {Status: "all"}: 3, {Status: "all", Role: "mobile"}: 2} {
		list := NewFirstListed(&which)
		for i := range all {
			list.Add(&all[i])
		}
		if list.Count != want || len(list.Devices) != want {
			t.Errorf("%+v: %d", which, list.Count)
		}
	}
	o := NewFirstOverview(&FirstStatus{Role: "mobile"}, time.Now())
	for i := range all {
		o.Add(&all[i])
	}
	if s := o.Stats; o.Online != 1 || s.Total != 3 || s.Online != 2 || s.Offline != 1 || s.Health != 66.7 || s.Resources != (firstResources{8, 8, 64}) || s.ByRole["mobile"] != 1 || !slices.Equal(o.Devices, []string{"device-0000"}) {
		t.Errorf("%+v", o)
	}
}

// FuzzFirstDialect: whatever is sent is read or refused, and has an answer of one whole object that fits.
func FuzzFirstDialect(f *testing.F) {
	for _, s := range []string{firstRegister, `{"message_type":"heartbeat","sender_id":"x","data":{"metrics":{"cpu_usage":1e3}}}`, `{"message_type":"status","message_id":1,"data":{"role":"a"}}`,
		`{"message_type":"list_devices","data":{"status":"online","role":"\u2028"}}`, `{"message_type":"device_info","data":{"device_id":"x"}}`, `{"message_type":"\ud83d\ude00task"}`,
		`{"message_id":{"a":[]},"data":5}`, `{"a":"}`, `{]`, `{"message_type":{}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		object, err := ReadFirst(bytes.NewReader(b))
		if slow, slowErr := ReadFirst(iotest.OneByteReader(bytes.NewReader(b))); !bytes.Equal(slow, object) || (err == nil) != (slowErr == nil) {
			t.Fatalf("byte by byte it is %q, %v, at once %q, %v", slow, slowErr, object, err)
		}
		var m FirstMessage
		if err == nil {
			m, err = ParseFirst(object)
		}
		var answer []byte
		switch {
		case err == nil:
			answer = answerTo(t, &m)
		case !errors.Is(err, ErrJSON) && !errors.Is(err, ErrField) && !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrUnknownType):
			t.Fatal(err)
		default:
			answer = FirstError(&m, time.Unix(0, 0), err)
		}
		if err := CheckJSON(answer); err != nil || len(answer) > MaxFirstReply {
			t.Fatalf("%d bytes, %v: %s", len(answer), err, answer)
		}
	})
}

func answerTo(t *testing.T, m *FirstMessage) []byte {
	now := time.Unix(0, 0)
	d := device.Device{ID: "x", Status: device.Online}
	switch b := m.Body.(type) {
	case *FirstRegister:
		d.ID, d.Profile = b.Device, b.Profile
		return FirstAck(m, now, NewFirstDescribed(&d, nil))
	case *FirstHeartbeat:
		d.Metrics = b.Metrics
		return FirstAck(m, now, NewFirstDescribed(&d, []FirstBeat{NewFirstBeat(b.Device, now, &b.Metrics)}))
	case *FirstStatus:
		o := NewFirstOverview(b, now)
		o.Add(&d)
		return FirstAck(m, now, o)
	case *FirstList:
		l := NewFirstListed(b)
		l.Add(&d)
		return FirstAck(m, now, l)
	case *FirstInfo:
		return FirstAck(m, now, NewFirstDone(b.Device, "done", nil))
	}
	t.Fatalf("read as %T", m.Body)
	return nil
}
