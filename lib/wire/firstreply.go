package wire

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/device"
)

// What the main node says to clients of the first Retire-Cluster: one JSON object of at most MaxFirstReply bytes.

// FirstResult is what stands in an ack.
type FirstResult interface {
	// shrink leaves something out, of about so many bytes where it is entries; false: nothing is left that could be.
	shrink(over int) bool
}

// firstReply is the envelope.
type firstReply struct {
	Type      string        `json:"message_type"`
	Sender    string        `json:"sender_id"`
	ID        string        `json:"message_id"`
	Timestamp string        `json:"timestamp"`
	Data      firstReplyFor `json:"data"`
}

type firstReplyFor struct {
	Original json.RawMessage `json:"original_message_id"`
	Result   FirstResult     `json:"result,omitempty"`
	Error    string          `json:"error,omitempty"`
}

// FirstAck answers a message. What has no room is left out: first the fields that its clients can do without, then entries.
func FirstAck(to *FirstMessage, now time.Time, result FirstResult) []byte {
	r := newFirstReply(TypeAck, to, now)
	r.Data.Result = result
	b := firstJSON(r)
	for len(b) > MaxFirstReply {
		if !result.shrink(len(b) - MaxFirstReply) {
			return FirstError(to, now, Errorf(ErrTooLarge, "the answer has more than %d bytes", MaxFirstReply))
		}
		b = firstJSON(r)
	}
	return b
}

// FirstError answers a message that is refused.
func FirstError(to *FirstMessage, now time.Time, err error) []byte {
	r := newFirstReply(TypeError, to, now)
	r.Data.Error = printable(NewError(err).Text, mostFirstText)
	return firstJSON(r)
}

const mostFirstText = 512 // bytes

func newFirstReply(kind string, to *FirstMessage, now time.Time) *firstReply {
	r := &firstReply{Type: kind, Sender: "main_server", ID: strings.ToLower(rand.Text()), Timestamp: firstTime(now)}
	if r.Data.Original = to.ID; to.ID == nil {
		r.Data.Original = json.RawMessage("null")
	}
	return r
}

// firstTime is RFC 3339, as Python could read it from 3.7 on: Z it can only since 3.11.
func firstTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05") + "+00:00" }

// FirstDone answers register and heartbeat.
type FirstDone struct {
	Success bool   `json:"success"`
	Device  string `json:"device_id,omitempty"`
	Message string `json:"message"`
}

// NewFirstDone says how it went: well, or as the error says.
func NewFirstDone(device, well string, err error) *FirstDone {
	d := &FirstDone{Success: err == nil, Device: device, Message: well}
	if err != nil {
		d.Message = printable(NewError(err).Text, mostFirstText)
	}
	return d
}

func (d *FirstDone) shrink(int) bool { return false }

// FirstDevice is a device as such clients see it.
type FirstDevice struct {
	ID        string        `json:"device_id"`
	Role      string        `json:"role"`
	Status    string        `json:"status"` // online or offline
	Platform  string        `json:"platform"`
	Address   string        `json:"ip_address"`
	LastHeard *string       `json:"last_heartbeat"` // nil: never
	Hardware  firstHardware `json:"hardware"`
	Tags      []string      `json:"tags"`
	*firstMore
}

type firstHardware struct {
	CPUs      int     `json:"cpu_count"`
	MemoryGB  float64 `json:"memory_total_gb"`
	StorageGB float64 `json:"storage_total_gb"`
	Hostname  string  `json:"hostname"`
}

// firstMore is what is left out first.
type firstMore struct {
	Capabilities firstCapabilities `json:"capabilities"`
	Metrics      firstMetrics      `json:"metrics"`
	Reason       string            `json:"reason,omitempty"`
}

// FirstBeat is a heartbeat that was heard.
type FirstBeat struct {
	Device    string       `json:"device_id"`
	Timestamp string       `json:"timestamp"`
	Metrics   firstMetrics `json:"metrics"`
}

// NewFirstBeat is a heartbeat of a device with these metrics.
func NewFirstBeat(device string, at time.Time, m *device.Metrics) FirstBeat {
	return FirstBeat{device, firstTime(at), metricsForFirst(m)}
}

func metricsForFirst(m *device.Metrics) firstMetrics {
	return firstMetrics{CPU: m.CPU, Memory: m.Memory, Storage: m.Disk, MemoryFree: gbKnown(m.MemoryFree), StorageFree: gbKnown(m.DiskFree),
		Heat: m.Temperature, Battery: m.Battery, Charging: m.Charging}
}

func gbKnown(bytes *int64) *float64 {
	if bytes == nil {
		return nil
	}
	v := gb(*bytes)
	return &v
}

// gb is bytes in units of 2^30, to the hundredth.
func gb(bytes int64) float64 { return math.Round(float64(bytes)/gib*100) / 100 }

// onlineForFirst says whether such clients are told that a device is online: they know no more than that and offline.
func onlineForFirst(d *device.Device) bool {
	return d.Status != device.Offline && d.Status != device.Pending
}

func statusForFirst(d *device.Device) string {
	if onlineForFirst(d) {
		return string(device.Online)
	}
	return string(device.Offline)
}

func deviceForFirst(d *device.Device) FirstDevice {
	p := &d.Profile
	f := FirstDevice{ID: d.ID, Role: printable(p.Info.Role, mostWord), Status: statusForFirst(d), Platform: printable(p.Info.Platform, mostWord), Address: d.Address,
		Hardware: firstHardware{p.Hardware.CPUCores, gb(p.Hardware.Memory), gb(p.Hardware.Disk), printable(p.Info.Hostname, mostWord)},
		Tags:     briefly(p.Tags), firstMore: &firstMore{capabilitiesForFirst(p.Capabilities), metricsForFirst(&d.Metrics), printable(d.Reason, 2*mostWord)}}
	if !d.LastSeen.IsZero() {
		heard := firstTime(d.LastSeen)
		f.LastHeard = &heard
	}
	return f
}

// briefly is some of the words, each printable; never nil.
func briefly(words []string) []string {
	some := make([]string, 0, min(len(words), mostWords))
	for _, w := range words[:cap(some)] {
		some = append(some, printable(w, mostWord))
	}
	return some
}

// capabilitiesForFirst puts capabilities into the three groups that such clients know.
func capabilitiesForFirst(all []string) firstCapabilities {
	c := firstCapabilities{[]string{}, []string{}, []string{}}
	for _, w := range briefly(all) {
		group, name, grouped := strings.Cut(w, "/")
		if !grouped {
			name = w
		}
		switch {
		case group == groupServices, w == "network_services":
			c.Services = append(c.Services, name)
		case group == groupAutomation, w == "mobile_specific":
			c.Automation = append(c.Automation, name)
		default:
			c.Computational = append(c.Computational, name)
		}
	}
	return c
}

// mostFirstDevices is more devices than an answer has room for.
const mostFirstDevices = 48

// firstDevices are devices in an answer.
type firstDevices []FirstDevice

func (l *firstDevices) add(d *device.Device) {
	if len(*l) < mostFirstDevices {
		*l = append(*l, deviceForFirst(d))
	}
}

// trim leaves out fields of all of them; false: none is left that can be.
func (l firstDevices) trim() bool {
	if more := func(d FirstDevice) bool { return d.firstMore != nil }; slices.ContainsFunc(l, more) {
		for i := range l {
			l[i].firstMore = nil
		}
		return true
	}
	tagged := slices.ContainsFunc(l, func(d FirstDevice) bool { return len(d.Tags) > 0 })
	for i := range l {
		l[i].Tags = []string{}
	}
	return tagged
}

func (l *firstDevices) shrink(over int) bool {
	if l.trim() {
		return true
	}
	before := len(*l)
	for over > 0 && len(*l) > 0 {
		last := len(*l) - 1
		over -= len(firstJSON((*l)[last])) + 1
		*l = (*l)[:last]
	}
	return len(*l) < before
}

// FirstListed answers list_devices.
type FirstListed struct {
	Devices firstDevices      `json:"devices"`
	Count   int               `json:"count"` // of all that were asked for, whether or not there is room for them
	Filters map[string]string `json:"filters_applied"`

	which FirstList
}

// wantsStatus says whether a device is in the state that was asked for.
func (l *FirstList) wantsStatus(d *device.Device) bool {
	is := statusForFirst(d)
	return l.Status == is || l.Status != string(device.Online) && l.Status != string(device.Offline)
}

// NewFirstListed is an answer to which devices may be added.
func NewFirstListed(which *FirstList) *FirstListed {
	l := &FirstListed{Devices: firstDevices{}, Filters: map[string]string{}, which: *which}
	if which.Status != "" {
		l.Filters["status"] = which.Status
	}
	if which.Role != "" {
		l.Filters["role"] = which.Role
	}
	return l
}

// Add adds a device, if it was asked for.
func (l *FirstListed) Add(d *device.Device) {
	if !l.which.wantsStatus(d) || l.which.Role != "" && l.which.Role != d.Profile.Info.Role {
		return
	}
	l.Count++
	l.Devices.add(d)
}

func (l *FirstListed) shrink(over int) bool { return l.Devices.shrink(over) }

// FirstOverview answers status.
type FirstOverview struct {
	Stats     firstStats `json:"cluster_stats"`
	Online    int        `json:"online_devices"` // of the role that was asked for
	Devices   []string   `json:"device_list"`    // the names of those
	Timestamp string     `json:"timestamp"`

	role string
}

type firstStats struct {
	Total      int            `json:"total_devices"`
	Online     int            `json:"online_devices"`
	Offline    int            `json:"offline_devices"`
	Health     float64        `json:"health_percentage"`
	Resources  firstResources `json:"total_resources"` // this and the two below: of those that are online
	ByRole     map[string]int `json:"by_role"`
	ByPlatform map[string]int `json:"by_platform"`
	Updated    string         `json:"last_updated"`
}

type firstResources struct {
	CPUs      int     `json:"cpu_cores"`
	MemoryGB  float64 `json:"memory_gb"`
	StorageGB float64 `json:"storage_gb"`
}

// NewFirstOverview is an answer to which all devices are to be added.
func NewFirstOverview(which *FirstStatus, now time.Time) *FirstOverview {
	return &FirstOverview{Devices: []string{}, Timestamp: firstTime(now), role: which.Role,
		Stats: firstStats{ByRole: map[string]int{}, ByPlatform: map[string]int{}, Updated: firstTime(now)}}
}

// Add adds a device.
func (o *FirstOverview) Add(d *device.Device) {
	s, p := &o.Stats, &d.Profile
	s.Total++
	if onlineForFirst(d) {
		s.Online++
		s.ByRole[printable(cmp.Or(p.Info.Role, "unknown"), mostWord)]++
		s.ByPlatform[printable(cmp.Or(p.Info.Platform, "unknown"), mostWord)]++
		s.Resources.CPUs += p.Hardware.CPUCores
		s.Resources.MemoryGB = hundredth(s.Resources.MemoryGB + gb(p.Hardware.Memory))
		s.Resources.StorageGB = hundredth(s.Resources.StorageGB + gb(p.Hardware.Disk))
		if o.role == "" || o.role == p.Info.Role {
			o.Online++
			if len(o.Devices) < mostFirstNames {
				o.Devices = append(o.Devices, d.ID)
			}
		}
	}
	s.Offline = s.Total - s.Online
	s.Health = math.Round(1000*float64(s.Online)/float64(s.Total)) / 10
}

// mostFirstNames is more names than an answer has room for.
const mostFirstNames = MaxFirstReply / 4

func (o *FirstOverview) shrink(over int) bool {
	roles, platforms := commonest(o.Stats.ByRole), commonest(o.Stats.ByPlatform)
	if roles || platforms {
		return true
	}
	before := len(o.Devices)
	for over > 0 && len(o.Devices) > 0 {
		last := len(o.Devices) - 1
		over -= len(o.Devices[last]) + len(`"",`)
		o.Devices = o.Devices[:last]
	}
	return len(o.Devices) < before
}

// commonest leaves the most frequent words; false: there are no others.
func commonest(counts map[string]int) bool {
	const most = 16
	if len(counts) <= most {
		return false
	}
	words := slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	for _, w := range words[most:] {
		delete(counts, w)
	}
	return true
}

// FirstDescribed answers device_info.
type FirstDescribed struct {
	Device *FirstDevice `json:"device"` // nil: there is none of that name
	Beats  []FirstBeat  `json:"recent_heartbeats"`
	Error  string       `json:"error,omitempty"` // then
}

// NewFirstUnknown says that there is no device of a name.
func NewFirstUnknown(name string) *FirstDescribed {
	return &FirstDescribed{Beats: []FirstBeat{}, Error: "Device " + printable(name, mostWord) + " not found"}
}

// NewFirstDescribed describes a device, with the heartbeats that were heard of it, the newest first.
func NewFirstDescribed(d *device.Device, beats []FirstBeat) *FirstDescribed {
	f := deviceForFirst(d)
	return &FirstDescribed{Device: &f, Beats: append([]FirstBeat{}, beats...)}
}

func (f *FirstDescribed) shrink(int) bool {
	if f.Device == nil {
		return false
	}
	one := firstDevices{*f.Device}
	trimmed := one.trim()
	*f.Device = one[0]
	return trimmed
}

func hundredth(v float64) float64 { return math.Round(v*100) / 100 }

// firstJSON writes a value without a newline behind it, and without escapes that only pages need.
func firstJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil { // of texts and numbers alone: it cannot be
		return nil
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
