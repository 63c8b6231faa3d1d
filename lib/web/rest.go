package web

import (
	"context"
	"iter"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

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
	if devices, err = s.devices(ctx); err == nil {
		s.history.add(time.Now(), &status, devices)
	}
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
