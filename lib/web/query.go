package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/command"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// query reads the parameters of a request. What no method asked for is refused by check: a misspelt filter must not
// show everything.
type query struct {
	values url.Values
	known  []string
	err    error // the first one
}

func newQuery(r *http.Request) *query {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return &query{err: invalid("the parameters after ? cannot be read")}
	}
	return &query{values: values}
}

func (q *query) fail(err error) {
	if q.err == nil {
		q.err = err
	}
}

// list gives the values of a parameter, which may be repeated and may have commas between values.
func (q *query) list(name string) (list []string) {
	q.known = append(q.known, name)
	for _, v := range q.values[name] {
		list = append(list, strings.Split(v, ",")...)
	}
	return list
}

// one gives the value of a parameter, "" without it.
func (q *query) one(name string) string {
	q.known = append(q.known, name)
	values := q.values[name]
	switch {
	case len(values) == 0:
		return ""
	case len(values) > 1:
		q.fail(invalid("%s is given %d times", name, len(values)))
	case values[0] == "":
		q.fail(invalid("%s is empty", name))
	}
	return values[0]
}

// number gives a whole number between two bounds.
func (q *query) number(name string, standard, least, most int) int {
	return int(q.wide(name, int64(standard), int64(least), int64(most)))
}

// afterEvent gives the number of an event, after which to begin; -1: none is given. It goes beyond 32 bits, on every device.
func (q *query) afterEvent() int64 { return q.wide("after", -1, 0, 1<<53) }

func (q *query) wide(name string, standard, least, most int64) int64 {
	text := q.one(name)
	if text == "" {
		return standard
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > most {
		q.fail(invalid("%s=%.40q: a number between %d and %d", name, text, least, most))
	}
	return n
}

// check says what is wrong with the parameters.
func (q *query) check() error {
	for name := range q.values {
		if !slices.Contains(q.known, name) {
			q.fail(invalid("unknown parameter %.40q: %s", name, allowed(q.known)))
		}
	}
	return q.err
}

func allowed(names []string) string {
	if len(names) == 0 {
		return "none is possible here"
	}
	return "possible are " + strings.Join(names, ", ")
}

// word gives a parameter that has a name's form.
func (q *query) word(name string) string {
	word := q.one(name)
	if word != "" && device.CheckName(word) != nil {
		q.fail(invalid("%s=%.70q: letters, digits, '.', '_', '-'; at most 64", name, word))
	}
	return word
}

// deviceFilter selects devices; what is not set selects all.
type deviceFilter struct {
	statuses            []device.Status
	role, platform, tag string
}

func (q *query) devices() (f deviceFilter) {
	for _, s := range q.list("status") {
		if !slices.Contains(device.Statuses, device.Status(s)) {
			q.fail(invalid("unknown status %.40q: one of online, draining, paused, pending, offline", s))
		}
		f.statuses = append(f.statuses, device.Status(s))
	}
	f.role, f.platform, f.tag = q.word("role"), q.word("platform"), q.word("tag")
	return f
}

// of gives those that the filter selects.
func (f *deviceFilter) of(devices []device.Device) []device.Device {
	return slices.DeleteFunc(devices, func(d device.Device) bool {
		p := &d.Profile
		return len(f.statuses) > 0 && !slices.Contains(f.statuses, d.Status) || f.role != "" && f.role != p.Info.Role ||
			f.platform != "" && f.platform != p.Info.Platform || f.tag != "" && !slices.Contains(p.Tags, f.tag)
	})
}

// since gives a time, or how long ago: what the commands take.
func (q *query) since() (since command.Since) {
	if text := q.one("since"); text != "" {
		if err := since.UnmarshalText([]byte(text)); err != nil {
			q.fail(invalid("since=%v", err))
		}
	}
	return since
}

func (q *query) tasks() (f wire.TaskFilter) {
	for _, name := range q.list("state") {
		state, err := task.ParseState(name)
		if err != nil {
			q.fail(invalid("%v", err))
		}
		f.States = append(f.States, state)
	}
	f.Device = q.word("device")
	if id := q.one("job"); id != "" {
		job, err := task.ParseJobID(id)
		if err != nil {
			q.fail(invalid("job=%v", err))
		}
		f.Job = job
	}
	return f
}

func (q *query) events() (f wire.EventFilter) {
	f.Level = cluster.Level(q.one("level"))
	if f.Level != "" && !slices.Contains(cluster.Levels(), f.Level) {
		q.fail(invalid("unknown level %.40q: one of debug, info, warning, error", string(f.Level)))
	}
	f.Device = q.word("device")
	return f
}
