package web

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// history keeps how the cluster was, for as long as charts show it and in memory alone. It is written whenever the devices are looked at for a stream; where
// nobody streams it looks itself, as long as somebody has looked at a page not long ago.
type history struct {
	look func(context.Context) error // makes a sample; nil in tests

	mu      sync.Mutex
	wanted  time.Time // when somebody looked at a page
	wake    chan struct{}
	begun   time.Time // the first sample
	sampled time.Time // the last one
	counted map[task.State]int64
	fine    ring // the last half hour
	coarse  ring // the last six hours
}

const (
	sampleEvery    = 10 * time.Second
	coarseEvery    = 2 * time.Minute
	historyPoints  = 180 // of each ring
	historyWanted  = time.Hour
	historyDevices = 2000 // of more there is no history
)

// What is kept of the cluster. Those that end are tasks a minute.
const (
	ofQueue = iota
	ofRunning
	ofCPU
	ofMemory
	ofCompleted
	ofFailed
	ofTimedOut
	ofCancelled
	clusterSeries
)

// What is kept of a device.
const (
	ofDeviceCPU = iota
	ofDeviceMemory
	ofDeviceHeat
	deviceSeries
)

// ended are the series of those that end.
var ended = map[task.State]int{task.Completed: ofCompleted, task.Failed: ofFailed, task.TimedOut: ofTimedOut, task.Cancelled: ofCancelled}

// series is values at even distances, in the order of a ring. What is not known is not a number.
type series [historyPoints]float32

var unknown = float32(math.NaN())

func isKnown(v float32) bool { return v == v }

// ring is the series of one distance.
type ring struct {
	every   time.Duration
	at      int64 // number of the newest place, counted from 1970
	cluster [clusterSeries]series
	devices map[string]*[deviceSeries]series
}

func newRing(every time.Duration) ring {
	r := ring{every: every, devices: map[string]*[deviceSeries]series{}}
	for i := range r.cluster {
		r.cluster[i].forget()
	}
	return r
}

func newHistory() *history {
	return &history{wake: make(chan struct{}, 1), counted: map[task.State]int64{}, fine: newRing(sampleEvery), coarse: newRing(coarseEvery)}
}

func (s *series) forget() {
	for i := range s {
		s[i] = unknown
	}
}

// run looks until ctx ends, while that is wanted and nobody else does.
func (h *history) run(ctx context.Context) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		if h.isDue(time.Now()) {
			looking, cancel := context.WithTimeout(ctx, answerTime)
			h.look(looking) // what cannot be seen leaves a gap
			cancel()
		}
		select {
		case <-tick.C:
		case <-h.wake:
		case <-ctx.Done():
			return
		}
	}
}

// want is called when somebody looks at a page.
func (h *history) want(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	slept := now.Sub(h.wanted) > historyWanted
	h.wanted = now
	if slept {
		select {
		case h.wake <- struct{}{}:
		default:
		}
	}
}

func (h *history) isDue(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return now.Sub(h.wanted) <= historyWanted && h.isNew(now)
}

// isNew says whether now is another place of the ring than that of the last sample. h.mu is held.
func (h *history) isNew(now time.Time) bool { return h.fine.place(now) > h.fine.at }

// add takes a sample, unless there is one of this time already, or nobody wants any.
func (h *history) add(now time.Time, s *cluster.Status, devices []device.Device) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now.Sub(h.wanted) > historyWanted || !h.isNew(now) {
		return
	}
	if h.begun.IsZero() {
		h.begun = now
	}
	h.fine.turn(now)
	h.coarse.turn(now)
	h.fine.setCluster(h.valuesOf(now, s))
	h.fine.setDevices(devices)
	h.sampled = now
	h.coarsen()
}

// valuesOf makes of a status what is kept of it.
func (h *history) valuesOf(now time.Time, s *cluster.Status) (v [clusterSeries]float32) {
	v[ofQueue], v[ofRunning] = float32(s.TasksQueued), float32(s.Tasks[task.Running.String()])
	v[ofCPU], v[ofMemory] = unknown, unknown
	if s.DevicesOnline > 0 {
		v[ofCPU], v[ofMemory] = float32(s.CPU), float32(s.MemoryUsed)
	}
	minutes := now.Sub(h.sampled).Minutes()
	for state, i := range ended {
		many := s.Tasks[state.String()]
		v[i] = unknown
		if before, counted := h.counted[state]; counted && minutes > 0 && now.Sub(h.sampled) < coarseEvery {
			v[i] = float32(float64(max(many-before, 0)) / minutes) // fewer: old ones were forgotten, or are tried again
		}
		h.counted[state] = many
	}
	return v
}

// coarsen makes of the newest samples one of the coarse ring.
func (h *history) coarsen() {
	many := int(h.fine.at - h.coarse.at*int64(coarseEvery/sampleEvery) + 1) // samples of this place
	to := h.coarse.index()
	for i := range h.coarse.cluster {
		h.coarse.cluster[i][to] = h.fine.mean(&h.fine.cluster[i], many)
	}
	for id, of := range h.fine.devices {
		mine := h.coarse.device(id)
		for i := range of {
			mine[i][to] = h.fine.mean(&of[i], many)
		}
	}
}

func (r *ring) place(t time.Time) int64 { return t.UnixNano() / int64(r.every) }

func (r *ring) index() int { return int(r.at % historyPoints) }

// turn goes on to the place of a time, and forgets what was there.
func (r *ring) turn(now time.Time) {
	to := r.place(now)
	for n := max(r.at, to-historyPoints) + 1; n <= to; n++ {
		i := n % historyPoints
		for s := range r.cluster {
			r.cluster[s][i] = unknown
		}
		for _, of := range r.devices {
			for s := range of {
				of[s][i] = unknown
			}
		}
	}
	if to > r.at {
		r.at = to
		r.forget()
	}
}

// forget lets go of the devices of which nothing is known any more.
func (r *ring) forget() {
	for id, of := range r.devices {
		if !slices.ContainsFunc(of[ofDeviceCPU][:], isKnown) && !slices.ContainsFunc(of[ofDeviceMemory][:], isKnown) && !slices.ContainsFunc(of[ofDeviceHeat][:], isKnown) {
			delete(r.devices, id)
		}
	}
}

func (r *ring) device(id string) *[deviceSeries]series {
	of := r.devices[id]
	if of == nil {
		of = new([deviceSeries]series)
		for i := range of {
			of[i].forget()
		}
		r.devices[id] = of
	}
	return of
}

func (r *ring) setCluster(v [clusterSeries]float32) {
	for i := range v {
		r.cluster[i][r.index()] = v[i]
	}
}

func (r *ring) setDevices(devices []device.Device) {
	for i := range devices {
		d := &devices[i]
		m := &d.Metrics
		if d.Status == device.Offline || m.CPU == nil && m.Memory == nil && m.Temperature == nil {
			continue
		}
		if r.devices[d.ID] == nil && len(r.devices) >= historyDevices {
			continue
		}
		of := r.device(d.ID)
		of[ofDeviceCPU][r.index()], of[ofDeviceMemory][r.index()], of[ofDeviceHeat][r.index()] = measuredAs(m.CPU), measuredAs(m.Memory), measuredAs(m.Temperature)
	}
}

func measuredAs(v *float64) float32 {
	if v == nil {
		return unknown
	}
	return float32(*v)
}

// mean is the mean of what is known of the newest values.
func (r *ring) mean(s *series, many int) float32 {
	sum, known := float32(0), float32(0)
	for n := range int64(many) {
		if v := s[(r.at-n+historyPoints)%historyPoints]; isKnown(v) {
			sum, known = sum+v, known+1
		}
	}
	return sum / known // of none: not a number
}

// inOrder is a series as it is at a time, the oldest value first.
func (r *ring) inOrder(s *series, now time.Time) []float32 {
	values, newest := make([]float32, historyPoints), r.place(now)
	for i := range values {
		n := newest - historyPoints + 1 + int64(i)
		values[i] = unknown
		if n <= r.at && n > r.at-historyPoints {
			values[i] = s[n%historyPoints]
		}
	}
	return values
}

// window is one of the times that charts can show.
type window struct {
	name  string // in the address
	title string
	back  time.Duration
	fine  bool
}

var windows = []window{
	{"30m", "30 minutes", sampleEvery * historyPoints, true},
	{"6h", "6 hours", coarseEvery * historyPoints, false},
}

func (h *history) ring(w *window) *ring {
	if w.fine {
		return &h.fine
	}
	return &h.coarse
}

// ofCluster are the values of a window, the oldest first.
func (h *history) ofCluster(w *window, now time.Time) (values [clusterSeries][]float32, begun time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.ring(w)
	for i := range values {
		values[i] = r.inOrder(&r.cluster[i], now)
	}
	return values, h.begun
}

// ofDevice are the values of the last half hour; nil: there are none.
func (h *history) ofDevice(id string, now time.Time) (values [deviceSeries][]float32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	of := h.fine.devices[id]
	for i := range values {
		if of != nil {
			values[i] = h.fine.inOrder(&of[i], now)
		}
	}
	return values
}
