package web

import (
	"time"

	"github.com/retire-cluster/retire-cluster/lib/text"
)

// charts is the page of how the cluster was.
type charts struct {
	Windows []windowTab
	Charts  []*chart
	Since   string // it has been watched
}

type windowTab struct {
	Title, At string
	Here      bool
}

func (s *Server) chartsView(v *viewer) error {
	w, asked := &windows[0], v.q.one("window")
	known := asked == ""
	b := &charts{}
	for i := range windows {
		if windows[i].name == asked {
			w, known = &windows[i], true
		}
	}
	if !known {
		v.q.fail(invalid("window=%.40q: 30m or 6h", asked))
	}
	if err := v.q.check(); err != nil {
		return err
	}
	for i := range windows {
		b.Windows = append(b.Windows, windowTab{windows[i].title, "/charts?window=" + windows[i].name, &windows[i] == w})
	}
	now := time.Now()
	values, begun := s.history.ofCluster(w, now)
	if !begun.IsZero() && now.Sub(begun) < w.back {
		b.Since = text.Duration(now.Sub(begun).Truncate(time.Second))
	}
	b.Charts = clusterCharts(w, values)
	v.Title, v.Every, v.Body = "Charts", 10, b
	return nil
}

func clusterCharts(w *window, values [clusterSeries][]float32) []*chart {
	return []*chart{
		chartOf("ended", "Tasks ended", "a minute", 0, w,
			[]chartLine{{Name: "completed", Kind: "completed"}, {Name: "failed", Kind: "failed"}, {Name: "timeout", Kind: "timeout"}, {Name: "cancelled", Kind: "cancelled"}},
			[][]float32{values[ofCompleted], values[ofFailed], values[ofTimedOut], values[ofCancelled]}),
		chartOf("queue", "Queue", "tasks", 0, w, []chartLine{{Name: "waiting", Kind: "accent"}}, [][]float32{values[ofQueue]}),
		chartOf("running", "Running", "tasks", 0, w, []chartLine{{Name: "running", Kind: "running"}}, [][]float32{values[ofRunning]}),
		chartOf("load", "CPU and memory", "%", 100, w, []chartLine{{Name: "CPU", Kind: "accent"}, {Name: "memory", Kind: "memory"}},
			[][]float32{values[ofCPU], values[ofMemory]}),
	}
}
