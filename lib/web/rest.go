package web

import (
	"context"
	"iter"
	"net/http"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

type deviceList struct {
	Devices []device.Device `json:"devices"`
	Count   int             `json:"count"`
}

func (s *Server) listDevices(ctx context.Context, r *http.Request) (any, error) {
	q := newQuery(r)
	filter := q.devices()
	if err := q.check(); err != nil {
		return nil, err
	}
	devices, err := s.devices(ctx)
	if err != nil {
		return nil, err
	}
	devices = append([]device.Device{}, filter.of(devices)...)
	return &deviceList{devices, len(devices)}, nil
}

// shownDevice is a device with the tasks that it holds.
type shownDevice struct {
	device.Device
	Tasks []task.Task `json:"tasks"`
}

func (s *Server) showDevice(ctx context.Context, r *http.Request) (any, error) {
	if err := newQuery(r).check(); err != nil {
		return nil, err
	}
	return get(s.asker(ctx), func(c *client.Client) (*shownDevice, error) {
		d, tasks, err := c.Device(ctx, r.PathValue("id"))
		return &shownDevice{d, append([]task.Task{}, tasks...)}, err
	})
}

func (s *Server) showStatus(ctx context.Context, r *http.Request) (any, error) {
	if err := newQuery(r).check(); err != nil {
		return nil, err
	}
	return s.status(ctx)
}

const (
	manyTasks = 100 // on a page of the list, where nobody says how many
	mostTasks = 1000
)

type taskList struct {
	Tasks []task.Task `json:"tasks"`
	Count int         `json:"count"`
	Next  task.ID     `json:"next,omitzero"` // to ask for after
}

func (s *Server) listTasks(ctx context.Context, r *http.Request) (any, error) {
	q := newQuery(r)
	filter, limit, after, newest := q.tasks(), q.number("limit", manyTasks, 1, mostTasks), q.after(), q.newest()
	if err := q.check(); err != nil {
		return nil, err
	}
	return get(s.asker(ctx), func(c *client.Client) (*taskList, error) {
		return pageOf(c.Tasks(ctx, wire.ListTasks{Filter: filter, After: after, Limit: limit + 1, Newest: newest}), limit)
	})
}

// pageOf takes a page; one task more than fits says that there is another.
func pageOf(all iter.Seq2[task.Task, error], limit int) (*taskList, error) {
	l := &taskList{Tasks: []task.Task{}}
	for t, err := range all {
		if err != nil {
			return nil, err
		}
		if len(l.Tasks) == limit {
			l.Next = l.Tasks[limit-1].ID
			break
		}
		l.Tasks = append(l.Tasks, t)
	}
	l.Count = len(l.Tasks)
	return l, nil
}

func (q *query) after() (id task.ID) {
	if text := q.one("after"); text != "" {
		var err error
		if id, err = task.ParseID(text); err != nil {
			q.fail(invalid("after=%v", err))
		}
	}
	return id
}

func (q *query) newest() bool {
	switch text := q.one("newest"); text {
	case "", "false":
		return false
	case "true":
		return true
	default:
		q.fail(invalid("newest=%.40q: true or false", text))
		return false
	}
}

func (s *Server) showTask(ctx context.Context, r *http.Request) (any, error) {
	if err := newQuery(r).check(); err != nil {
		return nil, err
	}
	return s.task(ctx, r.PathValue("id"))
}

// What several pages ask the main node for.

func (s *Server) ping(ctx context.Context) error {
	return s.asker(ctx).do(func(c *client.Client) error { return c.Ping(ctx) })
}

func (s *Server) status(ctx context.Context) (cluster.Status, error) {
	return get(s.asker(ctx), func(c *client.Client) (cluster.Status, error) { return c.Status(ctx) })
}

func (s *Server) devices(ctx context.Context) ([]device.Device, error) {
	return get(s.asker(ctx), func(c *client.Client) ([]device.Device, error) { return c.Devices(ctx) })
}

func (s *Server) task(ctx context.Context, id string) (task.Task, error) {
	return get(s.asker(ctx), func(c *client.Client) (task.Task, error) { return c.Task(ctx, id) })
}

// look is what the streams of devices are made of. The number is read first: whoever knows these devices has missed nothing up to it.
func (s *Server) look(ctx context.Context) (status cluster.Status, devices []device.Device, err error) {
	if status, err = s.status(ctx); err != nil {
		return status, nil, err
	}
	devices, err = s.devices(ctx)
	return status, devices, err
}

// collect reads a sequence to its end.
func collect[T any](all iter.Seq2[T, error]) (list []T, err error) {
	for thing, err := range all {
		if err != nil {
			return nil, err
		}
		list = append(list, thing)
	}
	return list, nil
}
