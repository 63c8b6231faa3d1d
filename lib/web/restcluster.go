package web

import (
	"context"
	"fmt"
	"net/http"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

func (s *Server) showStatus(ctx context.Context, r *http.Request) (any, error) {
	q := newQuery(r)
	fields := fieldsOf[cluster.Status](q)
	if err := q.check(); err != nil {
		return nil, err
	}
	status, err := s.status(ctx)
	return pick(status, "", fields), err
}

// health is what is well and what is not.
type health struct {
	Health   cluster.Health `json:"health"`
	Problems []string       `json:"problems"`
	Total    int            `json:"devices_total"`
	Online   int            `json:"devices_online"`
	Storage  string         `json:"storage"` // ok, or what a full disk means
	Uptime   int64          `json:"uptime"`  // seconds
}

func (s *Server) showHealth(ctx context.Context, r *http.Request) (any, error) {
	if err := newQuery(r).check(); err != nil {
		return nil, err
	}
	status, err := s.status(ctx)
	if err != nil {
		return nil, err
	}
	return healthOf(&status), nil
}

func healthOf(s *cluster.Status) *health {
	h := &health{Health: s.Health, Problems: []string{}, Total: s.DevicesTotal, Online: s.DevicesOnline, Storage: "ok", Uptime: s.Uptime}
	if s.Storage != "" {
		h.Storage = s.Storage
		h.Problems = append(h.Problems, s.Storage)
	}
	switch away := s.Devices[device.Offline]; {
	case s.DevicesTotal == 0:
		h.Problems = append(h.Problems, "no device has joined")
	case away > 0:
		h.Problems = append(h.Problems, fmt.Sprintf("%d of %d devices are offline", away, s.DevicesTotal))
	}
	if n := s.Devices[device.Pending]; n > 0 {
		h.Problems = append(h.Problems, fmt.Sprintf("%d devices wait to be approved", n))
	}
	return h
}

func (s *Server) showMetrics(ctx context.Context, r *http.Request) (any, error) {
	q := newQuery(r)
	fields := fieldsOf[wire.Metrics](q)
	if err := q.check(); err != nil {
		return nil, err
	}
	m, err := s.measure(ctx)
	return pick(m, "", fields), err
}

func (s *Server) measure(ctx context.Context) (wire.Metrics, error) {
	return get(s.asker(ctx), func(c *client.Client) (wire.Metrics, error) { return c.Metrics(ctx) })
}

// configuration is how the main node is set up, as it says itself.
type configuration struct {
	Name    string `json:"main_node"`
	Version string `json:"version"`
	*wire.Settings
}

func (s *Server) showConfiguration(ctx context.Context, r *http.Request) (any, error) {
	if err := newQuery(r).check(); err != nil {
		return nil, err
	}
	m, err := s.measure(ctx)
	if err != nil {
		return nil, err
	}
	if m.Settings == nil {
		return nil, refused(http.StatusBadGateway, "E_PROTO", "the main node, %s, is too old to tell", m.Cluster.Version)
	}
	return &configuration{m.Cluster.MainNode, m.Cluster.Version, m.Settings}, nil
}

// statistics is what has become of tasks. What is not of those that are kept counts from the start of the main node.
type statistics struct {
	Kept           map[string]int64          `json:"tasks"` // by state
	Queue          map[string]int            `json:"queue_by_priority"`
	CompletedToday int64                     `json:"tasks_completed_today"`
	Since          string                    `json:"since"` // RFC 3339: when the main node started
	Submitted      int64                     `json:"tasks_submitted"`
	Ended          map[string]int64          `json:"tasks_ended"`            // by state
	Success        *float64                  `json:"success_rate,omitempty"` // completed, of those that ended but for the cancelled
	PerHour        float64                   `json:"tasks_ended_per_hour"`
	Assigned       int64                     `json:"attempts_assigned"`
	Requeued       int64                     `json:"attempts_requeued"`
	Lost           int64                     `json:"attempts_lost"`
	Types          map[string]typeStatistics `json:"by_type"`
}

// typeStatistics is of the tasks of one type.
type typeStatistics struct {
	Runs     int64   `json:"runs"` // attempts that ended
	MeanRun  float64 `json:"mean_run_seconds"`
	MeanWait float64 `json:"mean_wait_seconds"`
}

func (s *Server) showStatistics(ctx context.Context, r *http.Request) (any, error) {
	if err := newQuery(r).check(); err != nil {
		return nil, err
	}
	m, err := s.measure(ctx)
	if err != nil {
		return nil, err
	}
	return statisticsOf(&m), nil
}

func statisticsOf(m *wire.Metrics) *statistics {
	c := &m.Cluster
	st := &statistics{Kept: c.Tasks, Queue: m.QueueByPrio, CompletedToday: c.CompletedToday, Since: c.Started.UTC().Format("2006-01-02T15:04:05.999Z"),
		Submitted: m.Submitted, Ended: m.Ended, Assigned: m.Assigned, Requeued: m.Requeued, Lost: m.Lost, Types: map[string]typeStatistics{}}
	var all, judged int64
	for state, n := range m.Ended {
		all += n
		if state != task.Cancelled.String() {
			judged += n
		}
	}
	if judged > 0 {
		rate := float64(m.Ended[task.Completed.String()]) / float64(judged)
		st.Success = &rate
	}
	if c.Uptime > 0 {
		st.PerHour = float64(all) * 3600 / float64(c.Uptime)
	}
	for taskType, runs := range m.Runs {
		waits := m.Waits[taskType]
		n, waited := total(&runs), total(&waits)
		st.Types[taskType] = typeStatistics{Runs: n, MeanRun: mean(runs.Sum, n), MeanWait: mean(waits.Sum, waited)}
	}
	return st
}

func total(h *wire.Histogram) (sum int64) {
	for _, n := range h.Counts {
		sum += n
	}
	return sum
}

func mean(sum float64, many int64) float64 {
	if many == 0 {
		return 0
	}
	return sum / float64(many)
}
