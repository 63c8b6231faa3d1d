package client

import (
	"context"
	"iter"
	"slices"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// nothing is the data of a request that has none.
type nothing struct{}

// Ping asks whether the main node is there and well.
func (c *Client) Ping(ctx context.Context) error {
	return c.ask(ctx, wire.TypePing, nothing{}, nil)
}

// Role is what the main node lets this client do.
func (c *Client) Role(ctx context.Context) (wire.Role, error) {
	k, _, err := c.connection(ctx)
	if err != nil {
		return "", err
	}
	return k.role, nil
}

// Status is how the cluster stands.
func (c *Client) Status(ctx context.Context) (cluster.Status, error) {
	var s cluster.Status
	err := c.ask(ctx, wire.TypeStatus, nothing{}, &s)
	return s, err
}

// Metrics is how the main node itself is.
func (c *Client) Metrics(ctx context.Context) (wire.Metrics, error) {
	var m wire.Metrics
	err := c.ask(ctx, wire.TypeMetrics, nothing{}, &m)
	return m, err
}

// Devices lists all devices.
func (c *Client) Devices(ctx context.Context) ([]device.Device, error) {
	var all []device.Device
	for after := ""; ; {
		var page wire.DeviceList
		if err := c.ask(ctx, wire.TypeDevices, &wire.ListDevices{After: after}, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Devices...)
		if after = page.Next; after == "" {
			return all, nil
		}
	}
}

// Device is a device, by its name or the beginning of it, and the tasks that it holds.
// Errors: device.ErrNotFound.
func (c *Client) Device(ctx context.Context, name string) (device.Device, []task.Task, error) {
	var s wire.DeviceShown
	err := c.ask(ctx, wire.TypeDevice, &wire.NameDevice{Device: name}, &s)
	return s.Device, s.Tasks, err
}

// Task is a task with its attempts, by its id or the beginning of it.
// Errors: task.ErrNotFound, task.ErrAmbiguous, task.ErrBadID.
func (c *Client) Task(ctx context.Context, id string) (task.Task, error) {
	var s wire.TaskShown
	err := c.ask(ctx, wire.TypeTask, &wire.ShowTask{Task: id}, &s)
	return s.Task, err
}

// TaskFiles is the same with the files that an attempt has brought back; 0: the newest.
func (c *Client) TaskFiles(ctx context.Context, id string, attempt int) (task.Task, error) {
	var s wire.TaskShown
	err := c.ask(ctx, wire.TypeTask, &wire.ShowTask{Task: id, FilesOf: attempt}, &s)
	return s.Task, err
}

// pageSize is how many tasks are asked for at once.
const pageSize = 500

// Tasks lists tasks as wire.ListTasks says, but that its Limit is of all of them, and 0 no limit. It asks for a page when the one before
// has been read. An error ends it.
func (c *Client) Tasks(ctx context.Context, l wire.ListTasks) iter.Seq2[task.Task, error] {
	return func(yield func(task.Task, error) bool) {
		request := l
		for left := l.Limit; ; {
			request.Limit = pageSize
			if l.Limit > 0 {
				request.Limit = min(left, pageSize)
			}
			var page wire.TaskList
			if err := c.ask(ctx, wire.TypeTasks, &request, &page); err != nil {
				yield(task.Task{}, err)
				return
			}
			for _, t := range page.Tasks {
				if !yield(t, nil) {
					return
				}
			}
			left -= len(page.Tasks)
			if page.Next.IsZero() || l.Limit > 0 && left <= 0 {
				return
			}
			request.After = page.Next
		}
	}
}

// Newest lists the newest tasks that the filter selects, at most limit of them, the newest of all last.
func (c *Client) Newest(ctx context.Context, f wire.TaskFilter, limit int) (tasks []task.Task, err error) {
	for t, err := range c.Tasks(ctx, wire.ListTasks{Filter: f, Newest: true, Limit: limit}) {
		if err != nil {
			return nil, err
		}
		tasks = append(tasks, t)
	}
	slices.Reverse(tasks)
	return tasks, nil
}
