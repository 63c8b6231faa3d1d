package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/text"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

const (
	devicesAtOnce = 24 // on a page
	homeDevices   = 8
	hottest       = 100 // °C, the top of a line of temperatures
)

// deviceCard is what is shown of a device in few words.
type deviceCard struct {
	ID, Status, Reason, Platform, Model, Seen, Heat, Battery string
	Tasks                                                    string
	Charging, Untrusted                                      bool
	CPU, Memory                                              *bar
	Spark                                                    *spark
}

// fleet is the page of the devices.
type fleet struct {
	Tiles        []tile
	Q, Status    string
	Statuses     []device.Status
	Cards        []deviceCard
	Found, Total int
	Earlier      string // address of the page before
	Later        string
	Text         string // the same as a table
}

func (s *Server) devicesView(v *viewer) error {
	word, status, at := strings.ToLower(v.q.one("q")), v.q.one("status"), v.q.number("page", 1, 1, 1000)
	if status != "" && !slices.Contains(device.Statuses, device.Status(status)) {
		v.q.fail(invalid("unknown status %.40q: one of online, draining, paused, pending, offline", status))
	}
	if err := v.q.check(); err != nil {
		return err
	}
	devices, err := v.Devices(v.ctx)
	if err != nil {
		return err
	}
	f := &fleet{Tiles: tilesOf(&v.status), Q: text.Sanitize(v.q.one("q")), Status: status, Statuses: device.Statuses, Total: len(devices)}
	devices = slices.DeleteFunc(devices, func(d device.Device) bool {
		return status != "" && string(d.Status) != status || word != "" && !mentions(&d, word)
	})
	sortDevices(devices)
	f.Found = len(devices)
	begin := min((at-1)*devicesAtOnce, len(devices))
	end := min(begin+devicesAtOnce, len(devices))
	if begin > 0 {
		f.Earlier = with(v.r, "page", fmt.Sprint(at-1))
	}
	if end < len(devices) {
		f.Later = with(v.r, "page", fmt.Sprint(at+1))
	}
	f.Cards = s.cardsOf(devices[begin:end], v.now)
	if f.Text, err = devicesTable(devices[begin:end], v.now); err != nil {
		return err
	}
	v.Title, v.Live, v.Every, v.Body = "Devices", "/stream/devices", 10, f
	return nil
}

// mentions says whether a device has a word in its name, or in what people tell devices apart by.
func mentions(d *device.Device, word string) bool {
	i := &d.Profile.Info
	for _, s := range append([]string{d.ID, i.Platform, i.Architecture, i.Role, i.Model, i.Hostname, i.OS, d.Address}, d.Profile.Tags...) {
		if strings.Contains(strings.ToLower(s), word) {
			return true
		}
	}
	return false
}

// sortDevices has those first that are there.
func sortDevices(devices []device.Device) {
	slices.SortFunc(devices, func(a, b device.Device) int {
		return cmp.Or(cmp.Compare(slices.Index(device.Statuses, a.Status), slices.Index(device.Statuses, b.Status)), strings.Compare(a.ID, b.ID))
	})
}

func devicesTable(devices []device.Device, now time.Time) (string, error) {
	var b strings.Builder
	p := text.NewPrinter(&b, text.Table, text.Style{Width: 100, Now: now})
	if err := p.Devices(devices); err != nil {
		return "", err
	}
	err := p.Flush()
	return b.String(), err
}

func (s *Server) cardsOf(devices []device.Device, now time.Time) []deviceCard {
	cards := make([]deviceCard, len(devices))
	for i := range devices {
		cards[i] = s.cardOf(&devices[i], now)
	}
	return cards
}

func (s *Server) cardOf(d *device.Device, now time.Time) deviceCard {
	i := &d.Profile.Info
	c := deviceCard{
		ID: d.ID, Status: string(d.Status), Reason: brief(d.Reason), Model: brief(i.Model), Untrusted: d.Untrusted,
		Platform: brief(strings.TrimSpace(i.Platform + " " + i.Architecture)), Tasks: fmt.Sprintf("%d/%d", d.ActiveTasks, d.Profile.Slots), Seen: text.Ago(d.LastSeen, now),
	}
	if d.Status == device.Offline {
		return c
	}
	m := &d.Metrics
	c.CPU, c.Memory = barOf(m.CPU), barOf(m.Memory)
	if m.Temperature != nil {
		c.Heat = fmt.Sprintf("%.0f °C", *m.Temperature)
	}
	if m.Battery != nil {
		c.Battery, c.Charging = fmt.Sprintf("%.0f%%", *m.Battery), m.Charging != nil && *m.Charging
	}
	c.Spark = sparkOf("CPU", " %", 100, s.history.ofDevice(d.ID, time.Now())[ofDeviceCPU])
	return c
}

func barOf(percent *float64) *bar {
	if percent == nil {
		return nil
	}
	return loadBar(*percent)
}

// deviceView is the page of one device.
type deviceView struct {
	Card     deviceCard
	Facts    []text.Fact
	Sparks   []namedSpark
	Tasks    []taskRow
	May      bool // the visitor may do something with it
	CanDrain bool
	Drains   bool
	Pending  bool
}

type namedSpark struct {
	Name, Now string
	*spark
}

func (s *Server) deviceView(v *viewer) error {
	if err := v.q.check(); err != nil {
		return err
	}
	d, tasks, err := v.Device(v.ctx, v.r.PathValue("id"))
	if err != nil {
		return err
	}
	b := &deviceView{Card: s.cardOf(&d, v.now), Facts: text.DeviceFacts(&d, v.style()), Tasks: taskRowsOf(tasks, v.now), Sparks: s.sparksOf(&d),
		May: v.may(wire.RoleAdmin), Drains: d.Status == device.Draining, Pending: d.Status == device.Pending}
	b.CanDrain = !b.Drains && !b.Pending && !d.Untrusted
	v.Title, v.Live, v.Every, v.Body = d.ID, "/stream/devices", 10, b
	return nil
}

// sparksOf are the lines of the last half hour.
func (s *Server) sparksOf(d *device.Device) (sparks []namedSpark) {
	values := s.history.ofDevice(d.ID, time.Now())
	for _, of := range []struct {
		name, unit string
		series     int
		top        float64
	}{{"CPU", " %", ofDeviceCPU, 100}, {"Memory", " %", ofDeviceMemory, 100}, {"Temperature", " °C", ofDeviceHeat, hottest}} {
		if line := sparkOf(of.name, of.unit, of.top, values[of.series]); line != nil {
			sparks = append(sparks, namedSpark{of.name, amount(newestOf(values[of.series])) + of.unit, line})
		}
	}
	return sparks
}
