package web

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
)

// feed looks at the devices once for all who follow them, and not at all while nobody does. Who follows compares what it has told
// with the newest look, so that a slow reader skips what lies between and holds up nobody.
type feed struct {
	look func(context.Context) (cluster.Status, []device.Device, error)
	wake chan struct{} // somebody follows who has nothing to see yet, or a device has changed

	mu        sync.Mutex
	newest    *view
	followers int
}

const (
	lookEvery     = time.Second            // how old what followers see may be
	lookNotWithin = 100 * time.Millisecond // of the last look, however much happens
)

// view is what one look saw.
type view struct {
	known   bool // somebody has looked
	err     error
	seq     int64  // of the last event before it
	status  string // JSON, its uptime in whole minutes, so that an idle cluster has nothing to tell
	order   []string
	devices map[string]string // JSON by name
	changed chan struct{}     // closed when there is a newer view
}

func newFeed(look func(context.Context) (cluster.Status, []device.Device, error)) *feed {
	return &feed{look: look, wake: make(chan struct{}, 1), newest: &view{changed: make(chan struct{})}}
}

// run looks until ctx ends.
func (f *feed) run(ctx context.Context) {
	for ctx.Err() == nil {
		var again <-chan time.Time // never, while nobody follows
		if f.followed() {
			f.refresh(ctx)
			again = time.After(lookEvery)
		}
		soonest := time.After(lookNotWithin)
		select {
		case <-again:
		case <-f.wake:
		case <-ctx.Done():
		}
		select {
		case <-soonest:
		case <-ctx.Done():
		}
	}
}

// hear has the devices looked at soon when the log tells that one has come, gone or changed its mind: what is measured of them, and how many tasks
// they run, can wait for the next look.
func (f *feed) hear(e *cluster.Event) {
	if strings.HasPrefix(string(e.Kind), "device_") {
		f.lookSoon()
	}
}

func (f *feed) lookSoon() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *feed) followed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.followers > 0
}

func (f *feed) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	v := &view{known: true, devices: map[string]string{}, changed: make(chan struct{})}
	var status cluster.Status
	var devices []device.Device
	if status, devices, v.err = f.look(ctx); v.err == nil {
		v.fill(&status, devices)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.followers == 0 { // it would be old for who comes next
		return
	}
	old := f.newest
	if v.err != nil {
		v.seq, v.status, v.order, v.devices = old.seq, old.status, old.order, old.devices
	}
	f.newest = v
	close(old.changed)
}

func (v *view) fill(status *cluster.Status, devices []device.Device) {
	v.seq = status.LastEvent
	status.Uptime -= status.Uptime % 60
	if b, err := json.Marshal(status); err == nil {
		v.status = string(b)
	}
	for i := range devices {
		b, err := json.Marshal(&devices[i])
		if err != nil { // of plain fields: a bug, and no reason to hide the others
			continue
		}
		v.order = append(v.order, devices[i].ID)
		v.devices[devices[i].ID] = string(b)
	}
}

// view gives the newest one.
func (f *feed) view() *view {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.newest
}

// follow begins to follow; call leave.
func (f *feed) follow() (leave func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.followers++; !f.newest.known {
		f.lookSoon()
	}
	return f.leave
}

func (f *feed) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.followers--; f.followers == 0 {
		f.newest = &view{changed: make(chan struct{})}
	}
}

// first waits for a view that shows something.
func (f *feed) first(ctx context.Context) (*view, error) {
	for {
		v := f.view()
		if v.known {
			return v, v.err
		}
		select {
		case <-v.changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
