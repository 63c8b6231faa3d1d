package web

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func measuredDevice(id string, cpu float64) device.Device {
	return device.Device{ID: id, Status: device.Online, Metrics: device.Metrics{CPU: &cpu}}
}

func TestHistory(t *testing.T) {
	h := newHistory()
	status := func(queued, completed int64) *cluster.Status {
		return &cluster.Status{DevicesOnline: 1, CPU: 50, TasksQueued: queued, Tasks: map[string]int64{"completed": completed}}
	}
	h.add(noon, status(1, 0), nil)
	if !h.begun.IsZero() {
		t.Error("it is kept though nobody has looked")
	}
	h.want(noon)
	for i := range 25 {
		at := noon.Add(time.Duration(i) * sampleEvery)
		if !h.isDue(at) {
			t.Errorf("%v: nothing is due", at)
		}
		h.add(at, status(int64(i), int64(2*i)), []device.Device{measuredDevice("pixel", float64(i))})
		h.add(at.Add(time.Second), status(1000, 1000), nil) // too soon
	}
	end := noon.Add(24 * sampleEvery)
	fine, begun := h.ofCluster(&windows[0], end)
	if q := fine[ofQueue]; q[historyPoints-1] != 24 || q[historyPoints-25] != 0 || isKnown(q[historyPoints-26]) || begun != noon {
		t.Error(q, begun)
	}
	if c := fine[ofCompleted]; c[historyPoints-1] != 12 || isKnown(c[historyPoints-25]) { // two in ten seconds
		t.Error(c)
	}
	coarse, _ := h.ofCluster(&windows[1], end)
	if q := coarse[ofQueue]; q[historyPoints-3] != 5.5 || q[historyPoints-2] != 17.5 || q[historyPoints-1] != 24 {
		t.Error(q[historyPoints-4:])
	}
	if cpu := h.ofDevice("pixel", end)[ofDeviceCPU]; cpu[historyPoints-1] != 24 || cpu[historyPoints-2] != 23 {
		t.Error(cpu)
	}
	if h.ofDevice("nobody", end)[ofDeviceCPU] != nil {
		t.Error("a device that is not there has a history")
	}
	// What is long ago is gone, and no line leads over a gap.
	later := end.Add(20 * time.Minute)
	h.add(later, status(7, 60), nil)
	fine, _ = h.ofCluster(&windows[0], later)
	if q := fine[ofQueue]; q[historyPoints-1] != 7 || isKnown(q[historyPoints-2]) || q[historyPoints-121] != 24 {
		t.Error(q)
	}
	if isKnown(fine[ofCompleted][historyPoints-1]) {
		t.Error("what ended in a gap is said to have ended in ten seconds")
	}
	h.want(later)
	h.add(later.Add(40*time.Minute), status(1, 1), nil)
	if len(h.fine.devices) != 0 || len(h.coarse.devices) != 1 {
		t.Error(len(h.fine.devices), len(h.coarse.devices))
	}
	if h.isDue(later.Add(2 * time.Hour)) {
		t.Error("it looks though nobody has looked for an hour")
	}
}

func TestHistoryIsBounded(t *testing.T) {
	h := newHistory()
	h.want(noon)
	var devices []device.Device
	for i := range historyDevices + 100 {
		devices = append(devices, measuredDevice(fmt.Sprint("d", i), 1))
	}
	h.add(noon, &cluster.Status{}, devices)
	if len(h.fine.devices) != historyDevices || len(h.coarse.devices) != historyDevices {
		t.Error(len(h.fine.devices), len(h.coarse.devices))
	}
}

func TestPolylines(t *testing.T) {
	u := unknown
	for _, c := range []struct {
		values []float32
		want   string
	}{
		{nil, ""},
		{[]float32{u, u}, ""},
		{[]float32{0, 5, 10}, "0,100 50,50 100,0"},
		{[]float32{0, u, 10}, "0,100 50,100|100,0 50,0"},
		{[]float32{0, 0, u, 20, -3}, "0,100 25,100|75,0 100,100"},
	} {
		if got := strings.Join(polylines(c.values, 10, 100, 100, 1), "|"); got != c.want {
			t.Errorf("%v: %s, want %s", c.values, got, c.want)
		}
	}
}

func TestNiceTop(t *testing.T) {
	for v, want := range map[float64]float64{0: 2, 1.5: 2, 3: 4, 5: 6, 9: 10, 11: 20, 70: 80, 90: 100, 100: 100, 1234: 2000} {
		if got := niceTop(v); got != want {
			t.Errorf("%v: %v, want %v", v, got, want)
		}
	}
	for v, want := range map[float32]string{0: "0", 0.26: "0.3", 9.96: "10", 12.4: "12", 12_345: "12k", unknown: "–"} {
		if got := amount(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}
