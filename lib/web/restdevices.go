package web

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

type deviceList struct {
	Devices []device.Device `json:"devices"`
	Count   int             `json:"count"`          // of these
	Next    string          `json:"next,omitempty"` // to ask for after
}

// mostDevices is how many devices are on a page, where nobody wants fewer: as many as a home has, and more.
const mostDevices = 10_000

func (s *Server) listDevices(ctx context.Context, r *http.Request) (any, error) {
	q := newQuery(r)
	filter, fields := q.devices(), fieldsOf[device.Device](q)
	limit, after := q.number("limit", mostDevices, 1, mostDevices), q.word("after")
	if err := q.check(); err != nil {
		return nil, err
	}
	devices, err := s.devices(ctx)
	if err != nil {
		return nil, err
	}
	l := &deviceList{Devices: append([]device.Device{}, filter.of(devices)...)}
	slices.SortFunc(l.Devices, func(a, b device.Device) int { return strings.Compare(a.ID, b.ID) })
	l.Devices = slices.DeleteFunc(l.Devices, func(d device.Device) bool { return after != "" && d.ID <= after })
	if len(l.Devices) > limit {
		l.Devices = l.Devices[:limit]
		l.Next = l.Devices[limit-1].ID
	}
	l.Count = len(l.Devices)
	return pick(l, "devices", fields), nil
}

// shownDevice is a device with the tasks that it holds.
type shownDevice struct {
	device.Device
	Tasks []task.Task `json:"tasks"`
}

func (s *Server) showDevice(ctx context.Context, r *http.Request) (any, error) {
	q := newQuery(r)
	fields := fieldsOf[shownDevice](q)
	if err := q.check(); err != nil {
		return nil, err
	}
	shown, err := s.device(ctx, r.PathValue("id"))
	return pick(shown, "", fields), err
}

func (s *Server) device(ctx context.Context, name string) (*shownDevice, error) {
	return get(s.asker(ctx), func(c *client.Client) (*shownDevice, error) {
		d, tasks, err := c.Device(ctx, name)
		return &shownDevice{d, append([]task.Task{}, tasks...)}, err
	})
}

// deviceStatus is how a device is, without what it is.
type deviceStatus struct {
	ID          string         `json:"device_id"`
	Status      device.Status  `json:"status"`
	Reason      string         `json:"reason,omitempty"`
	LastSeen    *time.Time     `json:"last_heartbeat,omitempty"`
	Metrics     device.Metrics `json:"system_metrics"`
	Slots       int            `json:"slots"`
	ActiveTasks int            `json:"active_tasks"`
	Tasks       []task.ID      `json:"task_ids"` // that it holds
	Contact     string         `json:"contact,omitempty"`
	LeaseLeft   *int64         `json:"lease_left_seconds,omitempty"`
	Completed   int64          `json:"tasks_completed"`
	Failed      int64          `json:"tasks_failed"`
}

func (s *Server) showDeviceStatus(ctx context.Context, r *http.Request) (any, error) {
	q := newQuery(r)
	fields := fieldsOf[deviceStatus](q)
	if err := q.check(); err != nil {
		return nil, err
	}
	d, err := s.device(ctx, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	status := &deviceStatus{ID: d.ID, Status: d.Status, Reason: d.Reason, LastSeen: unlessZero(d.LastSeen), Metrics: d.Metrics, Slots: d.Profile.Slots,
		ActiveTasks: d.ActiveTasks, Tasks: []task.ID{}, Contact: d.Contact, LeaseLeft: d.LeaseLeft, Completed: d.Completed, Failed: d.Failed}
	for i := range d.Tasks {
		status.Tasks = append(status.Tasks, d.Tasks[i].ID)
	}
	return pick(status, "", fields), nil
}

func unlessZero(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// pinged is what the main node knows of how a device can be reached.
type pinged struct {
	ID        string        `json:"device_id"`
	Connected bool          `json:"connected"` // it is heard of
	Status    device.Status `json:"status"`
	LastSeen  *time.Time    `json:"last_heartbeat,omitempty"`
	Silent    *float64      `json:"silent_seconds,omitempty"` // since then, by the main node's clock
	Source    string        `json:"source"`
}

// sourceOfPing says who answers a ping: a device takes questions from nobody.
const sourceOfPing = "the main node, from the device's last message; the device itself is not asked"

func (s *Server) pingDevice(ctx context.Context, r *http.Request) (any, error) {
	if _, err := s.change(r, noBody); err != nil {
		return nil, err
	}
	d, err := s.device(ctx, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	status, err := s.status(ctx)
	if err != nil {
		return nil, err
	}
	p := &pinged{ID: d.ID, Connected: d.Status != device.Offline && d.Contact == "", Status: d.Status, LastSeen: unlessZero(d.LastSeen), Source: sourceOfPing}
	if p.LastSeen != nil {
		now := status.Started.Add(time.Duration(status.Uptime) * time.Second)
		silent := max(now.Sub(d.LastSeen).Seconds(), 0)
		p.Silent = &silent
	}
	return p, nil
}

// deviceSummary counts the devices, and what those have together that are there.
type deviceSummary struct {
	Total    int                   `json:"total"`
	Online   int                   `json:"online"` // online, draining or paused
	Status   map[device.Status]int `json:"by_status"`
	Role     map[string]int        `json:"by_role"`
	Platform map[string]int        `json:"by_platform"`
	Arch     map[string]int        `json:"by_architecture"`
	Together together              `json:"online_resources"`
}

type together struct {
	Cores  int   `json:"cpu_cores"`
	Memory int64 `json:"memory_total"` // bytes
	Disk   int64 `json:"disk_space"`   // bytes
	Slots  int   `json:"slots"`
	Tasks  int   `json:"active_tasks"`
}

// unnamed is the role of those that have none.
const unnamed = "none"

func (s *Server) summarize(ctx context.Context, r *http.Request) (any, error) {
	if err := newQuery(r).check(); err != nil {
		return nil, err
	}
	devices, err := s.devices(ctx)
	if err != nil {
		return nil, err
	}
	sum := &deviceSummary{Total: len(devices), Status: map[device.Status]int{}, Role: map[string]int{}, Platform: map[string]int{}, Arch: map[string]int{}}
	for _, status := range device.Statuses {
		sum.Status[status] = 0
	}
	for i := range devices {
		sum.add(&devices[i])
	}
	return sum, nil
}

func (sum *deviceSummary) add(d *device.Device) {
	p := &d.Profile
	sum.Status[d.Status]++
	sum.Role[orUnnamed(p.Info.Role)]++
	sum.Platform[orUnnamed(p.Info.Platform)]++
	sum.Arch[orUnnamed(p.Info.Architecture)]++
	if !isThere(d.Status) {
		return
	}
	sum.Online++
	sum.Together.Cores += p.Hardware.CPUCores
	sum.Together.Memory += p.Hardware.Memory
	sum.Together.Disk += p.Hardware.Disk
	sum.Together.Slots += p.Slots
	sum.Together.Tasks += d.ActiveTasks
}

func isThere(s device.Status) bool { return s != device.Offline && s != device.Pending }

func orUnnamed(s string) string {
	if s == "" {
		return unnamed
	}
	return s
}

// taskTypes are the types of tasks that the devices offer which are there.
type taskTypes struct {
	Types []taskType `json:"types"`
}

type taskType struct {
	Type    string `json:"task_type"`
	Devices int    `json:"devices"`
	Slots   int    `json:"slots"` // of these devices
	Program bool   `json:"runs_program"`
}

func (s *Server) listTypes(ctx context.Context, r *http.Request) (any, error) {
	if err := newQuery(r).check(); err != nil {
		return nil, err
	}
	devices, err := s.devices(ctx)
	if err != nil {
		return nil, err
	}
	seen := map[string]*taskType{}
	for i := range devices {
		p := &devices[i].Profile
		if !isThere(devices[i].Status) || devices[i].Untrusted {
			continue
		}
		for _, name := range p.TaskTypes {
			if seen[name] == nil {
				seen[name] = &taskType{Type: name, Program: task.RunsProgram(name)}
			}
			seen[name].Devices++
			seen[name].Slots += p.Slots
		}
	}
	l := &taskTypes{Types: []taskType{}}
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		l.Types = append(l.Types, *seen[name])
	}
	return l, nil
}

// actedDevice is a device that something was done with.
type actedDevice struct {
	ID string `json:"device_id"`
}

// actOnDevice does something with the device of the path.
func (s *Server) actOnDevice(do func(c *client.Client, ctx context.Context, device string) error) http.Handler {
	return s.json(func(ctx context.Context, r *http.Request) (any, error) {
		who, err := s.change(r, noBody)
		if err != nil {
			return nil, err
		}
		return s.toDevice(ctx, who, r.PathValue("id"), do)
	})
}

func (s *Server) toDevice(ctx context.Context, who *visitor, name string, do func(*client.Client, context.Context, string) error) (*actedDevice, error) {
	if err := device.CheckName(name); err != nil {
		return nil, err
	}
	return &actedDevice{name}, who.once(func(c *client.Client) error { return do(c, ctx, name) })
}

// draining is the body of a drain.
type draining struct {
	Within float64 `json:"within,omitempty"` // seconds, after which it gives back what still runs; 0: it has all the time
}

func (s *Server) drainDevice(ctx context.Context, r *http.Request) (any, error) {
	var body draining
	who, err := s.change(r, func(b []byte) error {
		if len(b) == 0 {
			return nil
		}
		return decodeStrict(b, &body)
	})
	if err == nil && !(body.Within >= 0 && body.Within <= task.MaxTimeout) {
		err = invalid("within: a number of seconds, at most a year")
	}
	if err != nil {
		return nil, err
	}
	return s.toDevice(ctx, who, r.PathValue("id"), func(c *client.Client, ctx context.Context, name string) error {
		return c.Drain(ctx, name, time.Duration(body.Within*float64(time.Second)))
	})
}
