package mainnode

import (
	"slices"

	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// The highest of each bucket, in seconds: of how long tasks run and wait, and of how long the disk takes; and inputs in a round.
var (
	taskSeconds   = []float64{0.01, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400, 86400}
	commitSeconds = []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5}
	batchInputs   = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048}
)

// histogram counts things by their size.
type histogram struct {
	bounds []float64
	counts []int64 // one more than bounds: the last has none
	sum    float64
}

func newHistogram(bounds []float64) *histogram {
	return &histogram{bounds: bounds, counts: make([]int64, len(bounds)+1)}
}

func (h *histogram) add(v float64) {
	i, _ := slices.BinarySearch(h.bounds, v)
	h.counts[i]++
	h.sum += v
}

func (h *histogram) told() wire.Histogram {
	return wire.Histogram{Bounds: h.bounds, Counts: slices.Clone(h.counts), Sum: h.sum}
}

// byType are histograms of task types. There is no end of types that one can invent: after so many the next are counted together.
type byType struct {
	types  map[string]*histogram
	custom int
}

const (
	typesCounted = 32 // beside those that every worker knows
	otherTypes   = "other"
)

var builtIn = []string{task.TypeCommand, task.TypeShell, task.TypePythonEval, task.TypeEcho, task.TypeSleep, task.TypeSystemInfo, task.TypeHTTP}

func (b *byType) add(taskType string, seconds float64) {
	h := b.types[taskType]
	if h == nil {
		h = b.enter(taskType)
	}
	h.add(seconds)
}

func (b *byType) enter(taskType string) *histogram {
	if b.types == nil {
		b.types = map[string]*histogram{}
	}
	switch {
	case slices.Contains(builtIn, taskType):
	case b.custom < typesCounted:
		b.custom++
	default:
		taskType = otherTypes
	}
	h := b.types[taskType]
	if h == nil {
		h = newHistogram(taskSeconds)
		b.types[taskType] = h
	}
	return h
}

func (b *byType) told() map[string]wire.Histogram {
	all := make(map[string]wire.Histogram, len(b.types))
	for taskType, h := range b.types {
		all[taskType] = h.told()
	}
	return all
}
