package web

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"strconv"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/text"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

//go:embed page.html
var pageSource string

//go:embed static
var statics embed.FS

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

// pageTasks is how many of the newest tasks the page shows.
const pageTasks = 20

// overview is what the page shows.
type overview struct {
	Error             string
	Insecure, Session bool
	Name              string
	Health            string
	Uptime            string
	Version           string
	Tiles             []tile
	Devices           []deviceRow
	Tasks             []taskRow
	Older             bool // there are more tasks
}

// tile is one figure.
type tile struct {
	Title, Value, Note string
	Bar                *bar
}

// bar is a share, in percent.
type bar struct {
	Percent int
	Kind    string // of colour
}

type deviceRow struct {
	ID, Status, Size, Tasks, Platform, Seen, Reason string
	CPU, Memory                                     *bar
}

type taskRow struct {
	ID, State, Exit, Type, What, Device, Time, Submitted, Reason string
}

// page serves the page for people. That the main node is away is a page too.
func (s *Server) page(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	view, err := get(s.asker(ctx), func(c *client.Client) (*overview, error) { return overviewOf(ctx, c) })
	if err != nil {
		return s.showAway(w, r, err)
	}
	return s.showOverview(w, r, http.StatusOK, view)
}

// showAway is the page while the main node does not answer.
func (s *Server) showAway(w http.ResponseWriter, r *http.Request, err error) error {
	problem, _ := refusalOf(err)
	return s.showOverview(w, r, http.StatusServiceUnavailable, &overview{Name: "main node", Health: "away", Error: text.Sanitize(problem.message)})
}

func (s *Server) showOverview(w http.ResponseWriter, r *http.Request, status int, o *overview) error {
	o.Insecure, o.Session = s.isInsecure(r), len(s.sessionsOf(r)) > 0
	return showPage(w, status, pageTemplate, o)
}

// isInsecure says whether what is shown, and typed, can be read on the network between.
func (s *Server) isInsecure(r *http.Request) bool { return !s.place.loopback && !s.isSecure(r) }

func showPage(w http.ResponseWriter, status int, t *template.Template, view any) error {
	var b bytes.Buffer
	if err := t.Execute(&b, view); err != nil {
		return fmt.Errorf("make the page: %w", err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(b.Bytes())
	return nil
}

func overviewOf(ctx context.Context, c *client.Client) (*overview, error) {
	s, err := c.Status(ctx)
	if err != nil {
		return nil, err
	}
	devices, err := c.Devices(ctx)
	if err != nil {
		return nil, err
	}
	tasks, err := collect(c.Tasks(ctx, wire.ListTasks{Newest: true, Limit: pageTasks + 1}))
	if err != nil {
		return nil, err
	}
	now := s.Started.Add(time.Duration(s.Uptime) * time.Second) // by the clock that stamped what is shown
	o := &overview{
		Name:    text.Sanitize(s.MainNode),
		Health:  string(s.Health),
		Uptime:  text.Uptime(time.Duration(s.Uptime) * time.Second),
		Version: text.Sanitize(s.Version),
		Tiles:   tilesOf(&s),
		Older:   len(tasks) > pageTasks,
	}
	for i := range devices {
		o.Devices = append(o.Devices, deviceRowOf(&devices[i], now))
	}
	for i := range tasks[:min(len(tasks), pageTasks)] {
		o.Tasks = append(o.Tasks, taskRowOf(&tasks[i], now))
	}
	return o, nil
}

func tilesOf(s *cluster.Status) []tile {
	return []tile{
		{"Devices", fmt.Sprintf("%d/%d", s.DevicesOnline, s.DevicesTotal), "online", nil},
		{"CPU", fmt.Sprintf("%.0f%%", s.CPU), plural(int64(s.Cores), "core"), loadBar(s.CPU)},
		{"Memory", fmt.Sprintf("%.0f%%", s.MemoryUsed), text.Size(s.Memory), loadBar(s.MemoryUsed)},
		{"Slots", fmt.Sprintf("%d/%d", s.SlotsBusy, s.Slots), "busy", shareBar(s.SlotsBusy, s.Slots)},
		{"Queue", strconv.FormatInt(s.TasksQueued, 10), "waiting", nil},
		{"Today", strconv.FormatInt(s.CompletedToday, 10), "completed", nil},
	}
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.FormatInt(n, 10) + " " + noun + "s"
}

func loadBar(percent float64) *bar {
	b := &bar{int(min(max(percent, 0), 100) + 0.5), "low"}
	switch {
	case percent >= 90:
		b.Kind = "high"
	case percent >= 70:
		b.Kind = "middle"
	}
	return b
}

func shareBar(part, whole int) *bar {
	if whole == 0 {
		return &bar{0, "busy"}
	}
	return &bar{min(100*part/whole, 100), "busy"}
}

func deviceRowOf(d *device.Device, now time.Time) deviceRow {
	row := deviceRow{
		ID: d.ID, Status: string(d.Status), Reason: text.Sanitize(d.Reason), Platform: text.Sanitize(d.Profile.Info.Platform),
		Tasks: fmt.Sprintf("%d/%d", d.ActiveTasks, d.Profile.Slots), Seen: text.Ago(d.LastSeen, now),
	}
	if d.Profile.Hardware.Memory > 0 {
		row.Size = text.Size(d.Profile.Hardware.Memory)
	}
	if d.Status == device.Offline {
		return row
	}
	if d.Metrics.CPU != nil {
		row.CPU = loadBar(*d.Metrics.CPU)
	}
	if d.Metrics.Memory != nil {
		row.Memory = loadBar(*d.Metrics.Memory)
	}
	return row
}

func taskRowOf(t *task.Task, now time.Time) taskRow {
	row := taskRow{ID: t.ID.String(), State: t.State.String(), Type: text.Sanitize(t.Type), What: t.Name, Device: text.Sanitize(t.Device),
		Time: took(t, now), Submitted: text.Ago(t.Submitted, now), Reason: t.Reason}
	if row.What == "" {
		row.What = text.Runs(&t.Spec)
	}
	if t.State == task.Queued && t.Waiting != "" {
		row.Reason = t.Waiting
	}
	if t.ExitCode != nil && *t.ExitCode != 0 && t.State.Ended() {
		row.Exit = strconv.Itoa(*t.ExitCode)
	}
	row.What, row.Reason = brief(row.What), brief(row.Reason)
	return row
}

// took is how long a task ran, or has been running.
func took(t *task.Task, now time.Time) string {
	switch {
	case t.Started == nil:
		return ""
	case t.Finished != nil:
		return text.Duration(max(t.Finished.Sub(*t.Started), 0))
	case t.State == task.Running:
		return text.Duration(max(now.Sub(*t.Started), 0).Truncate(time.Second))
	}
	return ""
}

// brief is the beginning of a text, in one line.
func brief(s string) string {
	const most = 160
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "…"
	}
	return text.Sanitize(s)
}

// static serves what the page needs.
func (s *Server) static(w http.ResponseWriter, r *http.Request) error {
	return s.file(w, r.PathValue("name"))
}

// vendor serves what others have made; static/vendor/versions.json says who.
func (s *Server) vendor(w http.ResponseWriter, r *http.Request) error {
	return s.file(w, "vendor/"+r.PathValue("name"))
}

// fileTypes are the kinds of files that pages need.
var fileTypes = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8", ".json": "application/json",
	"": "text/plain; charset=utf-8"}

func (s *Server) file(w http.ResponseWriter, name string) error {
	b, err := statics.ReadFile("static/" + name)
	if err != nil {
		return refused(http.StatusNotFound, "E_NOT_FOUND", "there is no such page")
	}
	w.Header().Set("Content-Type", fileTypes[path.Ext(name)])
	w.Write(b)
	return nil
}
