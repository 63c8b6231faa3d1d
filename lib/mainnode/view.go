package mainnode

import (
	"cmp"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/scheduler"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// byName are all devices in the order of their names.
func (c *Core) byName() []*machine {
	if len(c.named) != len(c.devices) {
		c.named = slices.SortedFunc(maps.Values(c.devices), func(a, b *machine) int { return cmp.Compare(a.row.ID, b.row.ID) })
	}
	return c.named
}

// someDevices are devices as people see them, by name.
func (c *Core) someDevices(which *wire.ListDevices) wire.DeviceList {
	all := c.byName()
	from, found := slices.BinarySearchFunc(all, which.After, func(d *machine, name string) int { return cmp.Compare(d.row.ID, name) })
	if found {
		from++
	}
	limit := wire.MaxDevices
	if which.Limit > 0 {
		limit = min(limit, which.Limit)
	}
	to := min(from+limit, len(all))
	l := wire.DeviceList{Devices: make([]device.Device, 0, to-from)}
	for _, d := range all[from:to] {
		l.Devices = append(l.Devices, c.shownDevice(d))
	}
	if to < len(all) {
		l.Next = all[to-1].row.ID
	}
	return l
}

// shownDevice is a device as people see it.
func (c *Core) shownDevice(d *machine) device.Device {
	status, reason := d.status()
	if status == device.Draining && d.row.Draining {
		reason = c.drainReason(d)
	}
	if wait := d.twins.until.Sub(c.now); wait > 0 {
		reason = fmt.Sprintf("two machines use its key; neither is let in for %s more", wait.Round(time.Second))
	}
	seen := d.row.Seen
	if d.heard {
		seen = d.last
	}
	shown := device.Device{ID: d.row.ID, Fingerprint: d.row.Fingerprint, Status: status, Reason: reason, Profile: d.row.Profile, Metrics: d.metrics,
		ActiveTasks: len(d.held), Joined: d.row.Joined, LastSeen: seen.UTC(), Address: d.row.Address, Completed: d.row.Completed, Failed: d.row.Failed, Untrusted: d.row.Standing == store.Untrusted}
	if shown.Untrusted {
		shown.Reason, shown.Fingerprint = untrustedReason(reason), ""
	}
	if c.contactLost(d) {
		left := c.leaseLeft(d)
		shown.Contact, shown.LeaseLeft = device.ContactLost, &left
		shown.Reason = c.lostWords(d, reason)
	}
	return shown
}

// contactLost says whether a device that holds tasks cannot be heard of: it may be offline already, and keeps them until its lease ends.
func (c *Core) contactLost(d *machine) bool {
	return len(d.held) > 0 && (d.session == nil || c.now.Sub(d.last) > c.set.Heartbeat*3/2)
}

// leaseLeft is how many seconds a silent device keeps what it holds.
func (c *Core) leaseLeft(d *machine) int64 {
	return int64(max(0, c.set.Lease()-c.now.Sub(d.last)).Round(time.Second).Seconds())
}

// lostWords says so to people, behind what else there is to say.
func (c *Core) lostWords(d *machine, reason string) string {
	words := fmt.Sprintf("contact lost, %d s left before its tasks go to others", c.leaseLeft(d))
	if reason != "" {
		words = reason + "; " + words
	}
	return words
}

// status is the overview.
func (c *Core) status() cluster.Status {
	c.counts.newDay(c.now)
	s := cluster.Status{MainNode: c.set.Name, Version: strings.TrimPrefix(c.self, "rc-mained "), Started: c.started.UTC(), Uptime: int64(c.now.Sub(c.started).Seconds()),
		Devices: map[device.Status]int{}, Tasks: map[string]int64{}, CompletedToday: c.counts.today, LastEvent: c.lastEvent}
	for _, state := range task.States() {
		s.Tasks[state.String()] = c.counts.byState[state]
	}
	s.TasksQueued = c.counts.byState[task.Queued]
	s.TasksActive = c.counts.byState[task.Assigned] + c.counts.byState[task.Running]
	var busyCores, usedMemory, knownCores, knownMemory float64
	for _, d := range c.byName() {
		status, _ := d.status()
		s.Devices[status]++
		s.DevicesTotal++
		if status == device.Offline || status == device.Pending {
			continue
		}
		hw := d.row.Profile.Hardware
		s.DevicesOnline++
		s.Cores += hw.CPUCores
		s.Memory += hw.Memory
		s.Slots += d.row.Profile.Slots
		s.SlotsBusy += min(len(d.held), d.row.Profile.Slots)
		addShare(&busyCores, &knownCores, d.metrics.CPU, float64(hw.CPUCores))
		addShare(&usedMemory, &knownMemory, d.metrics.Memory, float64(hw.Memory))
	}
	s.CPU, s.MemoryUsed = percent(busyCores, knownCores), percent(usedMemory, knownMemory)
	s.Health = cluster.HealthOf(s.DevicesOnline, s.DevicesTotal)
	if s.Storage = c.storageWords(); s.Storage != "" && s.Health == cluster.Healthy {
		s.Health = cluster.Degraded
	}
	return s
}

// addShare adds a device's percentage, weighed by its size; one that is not known counts for nothing.
func addShare(used, known *float64, percent *float64, size float64) {
	if percent != nil {
		*used += *percent / 100 * size
		*known += size
	}
}

func percent(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return 100 * part / whole
}

// complete adds to a stored task what only the core knows: its progress, and why it waits.
func (c *Core) complete(t *task.Task) {
	open := c.tasks[t.ID]
	if open == nil && c.queue.Has(t.ID) {
		open = newOpenTask(t.ID, t.Job, &t.Spec, t.Submitted)
	}
	if open == nil {
		return
	}
	t.Progress = open.progress
	if open.row.State == task.Queued {
		t.Waiting = c.whyWaiting(open)
	}
	if d := open.device; d != nil && c.contactLost(d) {
		left := c.leaseLeft(d)
		t.Contact, t.LeaseLeft = device.ContactLost, &left
		t.Waiting = fmt.Sprintf("contact lost with %s, %d s left before the task goes to another", d.row.ID, left)
	}
}

// whyWaiting says why a task is not on a device.
func (c *Core) whyWaiting(t *openTask) string {
	if wait := t.row.Eligible.Sub(c.now); wait > 0 {
		return fmt.Sprintf("waits %s before it is tried again", wait.Round(time.Second))
	}
	if d := t.reserved; d != nil {
		return fmt.Sprintf("waits until %s has nothing else to do: %d devices were lost under it, and the next one is to be its own", d.row.ID, t.row.Losses)
	}
	if c.storage != storageOK {
		return "the main node's disk is full"
	}
	if len(c.devices) == 0 {
		return "no device has joined; rc-ctl invite makes a join code"
	}
	var busy, away []string
	why := map[string]int{}
	for _, d := range c.byName() {
		name := d.row.ID
		if reason := scheduler.WhyNot(t.taskType, t.needs, name, &d.row.Profile); reason != "" {
			why[reason]++
		} else if status, _ := d.status(); d.session == nil || status != device.Online {
			away = append(away, fmt.Sprintf("%s (%s)", name, status))
		} else {
			busy = append(busy, name)
		}
	}
	switch {
	case len(busy) > 0:
		return fmt.Sprintf("waits for a free slot on %s, in a queue of %d", few(busy), c.queue.Len())
	case len(away) > 0:
		return "fits only devices that are not at work: " + few(away)
	}
	return "fits no device: " + reasons(why)
}

func few(names []string) string {
	const most = 5
	if len(names) > most {
		return fmt.Sprintf("%d devices", len(names))
	}
	s := names[0]
	for _, n := range names[1:] {
		s += ", " + n
	}
	return s
}

// reasons lists why devices do not fit, the commonest first.
func reasons(why map[string]int) (s string) {
	keys := slices.SortedFunc(maps.Keys(why), func(a, b string) int { return cmp.Or(cmp.Compare(why[b], why[a]), cmp.Compare(a, b)) })
	for i, k := range keys {
		if i == 4 {
			return s + "; …"
		}
		if i > 0 {
			s += "; "
		}
		s += fmt.Sprintf("%s (%d)", k, why[k])
	}
	return s
}

// metrics is how the main node itself is.
func (c *Core) metrics() wire.Metrics {
	n := &c.counts
	m := wire.Metrics{Cluster: c.status(), Sessions: len(c.sessions), Batches: n.batches, Requests: n.requests, CommitSeconds: n.commits.Seconds(),
		Submitted: n.submitted, Assigned: n.assigned, Requeued: n.requeued, Lost: n.lost, Stale: n.stale, Orphans: n.orphans, RunSeconds: n.ran.Seconds(), WaitSeconds: n.waited.Seconds(),
		Ended: map[string]int64{}, QueueByClass: c.queue.Classes(), QueueByPrio: map[string]int{}, GoroutineCount: runtime.NumGoroutine()}
	for _, s := range task.States() {
		if s.Ended() {
			m.Ended[s.String()] = n.endedBy[s]
		}
	}
	for _, p := range task.Priorities() {
		m.QueueByPrio[p.String()] = c.queue.ByPriority(p)
	}
	m.DatabaseBytes, m.WALBytes = c.db.Size()
	m.BackupFailures = n.backupsFailed
	if !n.backedUp.IsZero() {
		m.BackedUp = n.backedUp.Unix()
	}
	m.Runs, m.Waits, m.CommitTimes, m.BatchInputs, m.OutputBytes, m.Settings = n.runs.told(), n.waits.told(), n.commitTimes.told(), n.inputsOfRounds.told(), n.output, c.set.told()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	m.MemoryBytes = int64(mem.Sys - mem.HeapReleased)
	return m
}
