package wire

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/retire-cluster/retire-cluster/lib/device"
)

// The dialect of the first Retire-Cluster, as its clients speak it on plain connections where they are let in. One of them opens a connection,
// sends one JSON object with nothing behind it, reads once what there is of the answer, and closes. What the main node says is in firstreply.go.

// Bounds of the dialect.
const (
	MaxFirst      = 64 << 10 // bytes that such a client may send
	MaxFirstReply = 8192     // bytes of an answer: its client asks for so many, once
)

// FirstMessage is what such a client says.
type FirstMessage struct {
	Type string
	ID   json.RawMessage // as it came, to be said again in the answer; nil: none that can be
	Body any             // *FirstRegister, *FirstHeartbeat, *FirstStatus, *FirstList or *FirstInfo
}

// FirstRegister says what a device is.
type FirstRegister struct {
	Device  string
	Profile device.Profile // with no slots and no task types: it takes no tasks
}

// FirstHeartbeat says how a device is.
type FirstHeartbeat struct {
	Device  string
	Metrics device.Metrics
}

// FirstStatus asks for the overview.
type FirstStatus struct {
	Role string `json:"role"` // of the devices to be listed with it; empty: any
}

// FirstList asks for devices.
type FirstList struct {
	Status string `json:"status"` // online or offline; anything else, such as "all": any
	Role   string `json:"role"`   // empty: any
}

// FirstInfo asks for one device.
type FirstInfo struct {
	Device string `json:"device_id"`
}

// ReadFirst reads one JSON object until it closes: nothing tells its end but that. What stands behind it is not looked at. Errors are ErrJSON,
// ErrTooLarge, and what reading comes to.
func ReadFirst(r io.Reader) ([]byte, error) {
	var b []byte
	var o nesting
	for len(b) < MaxFirst {
		b = slices.Grow(b, 512)
		from := len(b)
		n, err := r.Read(b[from:min(cap(b), MaxFirst)])
		b = b[:from+n]
		if end := o.closes(b[from:]); end > 0 {
			return b[:from+end], nil
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil, Errorf(ErrJSON, "the message ends before its object closes")
		case err != nil:
			return nil, err
		}
	}
	return nil, Errorf(ErrTooLarge, "more than %d bytes", MaxFirst)
}

// nesting is how deep in an object one has read.
type nesting struct {
	depth         int
	text, escaped bool
}

// closes is the place behind the byte with which the object closes; 0: it does not yet.
func (o *nesting) closes(b []byte) int {
	for i, c := range b {
		switch {
		case o.escaped:
			o.escaped = false
		case o.text:
			o.escaped, o.text = c == '\\', c != '"'
		case c == '"':
			o.text = true
		case c == '{' || c == '[':
			o.depth++
		case c == '}' || c == ']':
			if o.depth--; o.depth <= 0 {
				return i + 1
			}
		}
	}
	return 0
}

// ParseFirst reads a message of the dialect. What is known of one that is refused comes with the error, for the answer. Errors are ErrJSON,
// ErrField and ErrUnknownType.
func ParseFirst(b []byte) (m FirstMessage, err error) {
	if err := CheckJSON(b); err != nil {
		return m, err
	}
	var e struct {
		Type   string          `json:"message_type"`
		Sender string          `json:"sender_id"`
		ID     json.RawMessage `json:"message_id"`
		Data   json.RawMessage `json:"data"`
	}
	err = json.Unmarshal(b, &e)
	m.Type = e.Type
	if mayEcho(e.ID) {
		m.ID = e.ID
	}
	switch {
	case err != nil:
		return m, Errorf(ErrField, "%s", why(err))
	case len(e.Data) > 0 && e.Data[0] != '{' && e.Data[0] != 'n':
		return m, Errorf(ErrField, "data: an object")
	}
	m.Body, err = firstBody(e.Type, e.Sender, Message{Type: e.Type, Data: e.Data})
	return m, err
}

// mayEcho says whether the id of a message is one that an answer can say again: no more than a few characters.
func mayEcho(id json.RawMessage) bool {
	const most = 128
	return len(id) > 0 && len(id) <= most && id[0] != '{' && id[0] != '['
}

// firstBody reads the data of a message. A device calls itself by device_id there, or else by sender_id.
func firstBody(kind, sender string, m Message) (body any, err error) {
	switch kind {
	case "register":
		var p firstProfile
		if err := m.Decode(&p); err != nil {
			return nil, err
		}
		return p.register(sender)
	case "heartbeat":
		var h firstHeartbeat
		if err := m.Decode(&h); err != nil {
			return nil, err
		}
		return h.heartbeat(sender)
	case "status":
		var q FirstStatus
		err = m.Decode(&q)
		return &q, checkWords(err, "role", q.Role)
	case "list_devices":
		var q FirstList
		err = m.Decode(&q)
		return &q, checkWords(err, "role", q.Role, "status", q.Status)
	case "device_info":
		var q FirstInfo
		if err = m.Decode(&q); err == nil && q.Device == "" {
			err = Errorf(ErrField, "device_id: which one?")
		}
		return &q, checkWords(err, "device_id", q.Device)
	}
	return nil, &said{"Unknown message type: " + printable(kind, mostWord), ErrUnknownType}
}

// checkWords checks fields of a question, unless there is an error already.
func checkWords(err error, fieldsAndWords ...string) error {
	c := checking{err}
	for i := 0; i < len(fieldsAndWords); i += 2 {
		c.word(fieldsAndWords[i], fieldsAndWords[i+1], mostWord)
	}
	return c.err
}

// firstProfile is the data of register. What is null or not there is not known.
type firstProfile struct {
	Device       string            `json:"device_id"`
	Role         string            `json:"role"`
	Platform     string            `json:"platform"`
	Hostname     string            `json:"hostname"`
	CPUs         float64           `json:"cpu_count"`
	MemoryGB     float64           `json:"memory_total_gb"`
	StorageGB    float64           `json:"storage_total_gb"`
	Tags         []string          `json:"tags"`
	Capabilities firstCapabilities `json:"capabilities"`
}

// firstCapabilities are kept as "services/ssh", so that they are told again as they came.
type firstCapabilities struct {
	Computational []string `json:"computational"`
	Services      []string `json:"services"`
	Automation    []string `json:"automation"`
}

const (
	groupComputational = "computational"
	groupServices      = "services"
	groupAutomation    = "automation"
)

func (p *firstProfile) register(sender string) (*FirstRegister, error) {
	var c checking
	r := &FirstRegister{Device: c.name(p.Device, sender)}
	r.Profile.Info = device.Info{Role: c.word("role", p.Role, mostWord), Platform: c.word("platform", p.Platform, mostWord), Hostname: c.word("hostname", p.Hostname, mostHostname)}
	r.Profile.Hardware = device.Hardware{CPUCores: c.whole("cpu_count", p.CPUs, mostCores),
		Memory: c.bytes("memory_total_gb", p.MemoryGB), Disk: c.bytes("storage_total_gb", p.StorageGB)}
	r.Profile.Tags = c.words("tags", "", p.Tags)
	r.Profile.Capabilities = slices.Concat(c.words("capabilities."+groupComputational, groupComputational+"/", p.Capabilities.Computational),
		c.words("capabilities."+groupServices, groupServices+"/", p.Capabilities.Services),
		c.words("capabilities."+groupAutomation, groupAutomation+"/", p.Capabilities.Automation))
	return r, c.err
}

// firstHeartbeat is the data of heartbeat.
type firstHeartbeat struct {
	Device  string       `json:"device_id"`
	Metrics firstMetrics `json:"metrics"`
}

// firstMetrics are what is measured, as such clients call it. What one cannot measure is null or not there.
type firstMetrics struct {
	CPU         *float64 `json:"cpu_usage,omitempty"`
	Memory      *float64 `json:"memory_usage,omitempty"`
	Storage     *float64 `json:"storage_usage,omitempty"`
	MemoryFree  *float64 `json:"memory_available_gb,omitempty"`
	StorageFree *float64 `json:"storage_free_gb,omitempty"`
	Heat        *float64 `json:"temperature_max,omitempty"` // °C
	Battery     *float64 `json:"battery_percent,omitempty"`
	Charging    *bool    `json:"battery_charging,omitempty"`
}

func (p *firstHeartbeat) heartbeat(sender string) (*FirstHeartbeat, error) {
	var c checking
	m := &p.Metrics
	h := &FirstHeartbeat{Device: c.name(p.Device, sender), Metrics: device.Metrics{CPU: c.percent("metrics.cpu_usage", m.CPU),
		Memory: c.percent("metrics.memory_usage", m.Memory), Disk: c.percent("metrics.storage_usage", m.Storage),
		Battery: c.percent("metrics.battery_percent", m.Battery), Charging: m.Charging}}
	if m.Heat != nil {
		heat := c.number("metrics.temperature_max", *m.Heat, mostHeat)
		h.Metrics.Temperature = &heat
	}
	if m.MemoryFree != nil {
		free := c.bytes("metrics.memory_available_gb", *m.MemoryFree)
		h.Metrics.MemoryFree = &free
	}
	if m.StorageFree != nil {
		free := c.bytes("metrics.storage_free_gb", *m.StorageFree)
		h.Metrics.DiskFree = &free
	}
	return h, c.err
}

// Bounds of what a device without a key may say of itself.
const (
	mostWord     = 64 // bytes
	mostHostname = 255
	mostWords    = 32 // of one list
	mostCores    = 4096
	mostGB       = 1 << 20
	mostHeat     = 1000 // °C
	mostPercent  = 1000 // what is above 100 is taken for that: load averages are, now and then
)

// checking passes on what is within its bounds, and notes the first thing that is not.
type checking struct{ err error }

func (c *checking) refuse(field, format string, args ...any) {
	if c.err == nil {
		c.err = Errorf(ErrField, field+": "+format, args...)
	}
}

// name is the first of two that is there.
func (c *checking) name(first, second string) string {
	name := cmp.Or(first, second)
	if device.CheckName(name) != nil {
		c.refuse("device_id", "%v", device.ErrBadName)
	}
	return name
}

func (c *checking) word(field, word string, most int) string {
	if len(word) > most || strings.ContainsFunc(word, func(r rune) bool { return !unicode.IsPrint(r) }) {
		c.refuse(field, "at most %d bytes, all of them printable", most)
	}
	return word
}

// words are nil where there are none, as they come back from the store.
func (c *checking) words(field, prefix string, words []string) (all []string) {
	if len(words) > mostWords {
		c.refuse(field, "at most %d", mostWords)
		return nil
	}
	for _, w := range words {
		if w == "" {
			c.refuse(field, "one of them is empty")
		}
		all = append(all, prefix+c.word(field, w, mostWord))
	}
	return all
}

func (c *checking) number(field string, v, most float64) float64 {
	if !(v >= 0 && v <= most) {
		c.refuse(field, "a number from 0 to %g", most)
		return 0
	}
	return v
}

func (c *checking) whole(field string, v, most float64) int {
	n := int(c.number(field, v, most))
	if c.err == nil && float64(n) != v {
		c.refuse(field, "a whole number")
	}
	return n
}

func (c *checking) bytes(field string, gb float64) int64 {
	return int64(c.number(field, gb, mostGB) * gib)
}

func (c *checking) percent(field string, v *float64) *float64 {
	if v == nil {
		return nil
	}
	p := min(c.number(field, *v, mostPercent), 100)
	return &p
}

const gib = 1 << 30

// printable is at most so many bytes of a text, with question marks for what is not to be printed.
func printable(s string, most int) string {
	var b strings.Builder
	for _, r := range s {
		if !unicode.IsPrint(r) {
			r = '?'
		}
		if b.Len()+utf8.RuneLen(r) > most {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}
