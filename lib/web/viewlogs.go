package web

import (
	"slices"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/text"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// eventsAtOnce is how much of the log is on a page.
const eventsAtOnce = 100

// logBook is the page of the events.
type logBook struct {
	Level, Device string
	Levels        []cluster.Level
	Days          []logDay
}

// logDay are the events of one day, the newest first.
type logDay struct {
	Date   string
	Events []eventRow
}

type eventRow struct {
	Seq              int64
	When, Time       string // exactly, and as it is shown
	Level, What, See string // See: the page of what it is about
}

func (s *Server) logsView(v *viewer) error {
	filter := v.q.events()
	if err := v.q.check(); err != nil {
		return err
	}
	events, err := collect(v.Events(v.ctx, wire.FollowEvents{Filter: filter, Last: eventsAtOnce}))
	if err != nil {
		return err
	}
	slices.Reverse(events)
	v.Title, v.Live, v.Every = "Logs", "/stream/logs?n=0", 30
	v.Body = &logBook{Level: string(filter.Level), Device: filter.Device, Levels: cluster.Levels(), Days: daysOf(events)}
	return nil
}

func daysOf(events []client.Event) (days []logDay) {
	for i := range events {
		e := &events[i].Event
		date := e.Time.UTC().Format(time.DateOnly)
		if len(days) == 0 || days[len(days)-1].Date != date {
			days = append(days, logDay{Date: date})
		}
		d := &days[len(days)-1]
		d.Events = append(d.Events, eventRowOf(e))
	}
	return days
}

func eventRowOf(e *cluster.Event) eventRow {
	row := eventRow{Seq: e.Seq, When: e.Time.UTC().Format(time.RFC3339), Time: e.Time.UTC().Format(time.TimeOnly), Level: string(e.Level()), What: brief(text.Sentence(e))}
	switch {
	case !e.Task.IsZero():
		row.See = "/tasks/" + e.Task.String()
	case !e.Job.IsZero():
		row.See = "/tasks?job=" + e.Job.String()
	case e.Device != "" && e.Kind != cluster.DeviceRemoved:
		row.See = "/devices/" + e.Device
	}
	return row
}
