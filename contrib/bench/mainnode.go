package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// mainNode is a main node that runs, and an admin's client of it.
type mainNode struct {
	*daemon
	data        string // its data directory
	addressFile string
	local       wire.Local
	client      *client.Client
	up          time.Duration // from its start until it listened
}

// mainNode starts a main node with settings that are the default but for what flags say.
func (r *run) mainNode(name string, prefix []string, flags ...string) (*mainNode, error) {
	m := &mainNode{data: r.path(name), addressFile: r.path(name + ".address")}
	args := append([]string{"--listen=127.0.0.1:0", "--addr-file=" + m.addressFile, "--data=" + m.data, "--name=" + name}, flags...)
	var err error
	if m.daemon, err = r.daemon(name, prefix, filepath.Join(r.set.bin, "rc-mained"), args...); err != nil {
		return nil, err
	}
	if err := r.listening(m); err != nil {
		return nil, err
	}
	// It keeps its address when it is started again.
	for i, a := range m.args {
		if strings.HasPrefix(a, "--listen=") {
			m.args[i] = "--listen=" + m.local.Address
		}
	}
	if m.client, err = r.client(m); err != nil {
		return nil, err
	}
	return m, m.client.Ping(r.ctx)
}

// listening waits until a main node that was just started can be connected to.
func (r *run) listening(m *mainNode) error {
	for {
		if b, err := os.ReadFile(m.addressFile); err == nil && len(b) > 0 {
			break
		}
		if m.ended() {
			return fmt.Errorf("start %s: it ended: %v", m.name, m.err)
		}
		if err := r.sleep(time.Millisecond); err != nil {
			return fmt.Errorf("start %s: %w", m.name, err)
		}
	}
	m.up = time.Since(m.began)
	var err error
	if m.local, err = wire.ReadLocal(m.data); err != nil {
		return fmt.Errorf("read what %s left: %w", m.name, err)
	}
	return nil
}

// restart stops a main node and starts it again, with other flags if some are given.
func (r *run) restart(m *mainNode, flags ...string) error {
	if err := r.halt(m); err != nil {
		return err
	}
	return r.resume(m, flags...)
}

// halt stops a main node that is to be started again.
func (r *run) halt(m *mainNode) error {
	m.stop()
	if m.err != nil {
		return fmt.Errorf("stop %s: %w", m.name, m.err)
	}
	return os.Remove(m.addressFile)
}

// resume starts one that was stopped, where it listened before.
func (r *run) resume(m *mainNode, flags ...string) error {
	m.args = append(m.args, flags...)
	if err := m.start(); err != nil {
		return err
	}
	return r.listening(m)
}

// client is another client of a main node.
func (r *run) client(m *mainNode) (*client.Client, error) {
	c, err := client.New(client.Options{Main: m.local.Address, Pin: m.local.Fingerprint, Token: m.local.Token, Software: "bench"})
	if err != nil {
		return nil, fmt.Errorf("make a client of %s: %w", m.name, err)
	}
	r.atEnd(func() { c.Close() })
	return c, nil
}

// completed is how many tasks ended well since the main node started.
func (r *run) completed(m *mainNode) (int64, error) {
	metrics, err := m.client.Metrics(r.ctx)
	if err != nil {
		return 0, fmt.Errorf("ask %s for metrics: %w", m.name, err)
	}
	return metrics.Ended[task.Completed.String()], nil
}

// queueTasks submits n tasks.
func (r *run) queueTasks(m *mainNode, n int, spec func(i int) task.Spec) error {
	const most = 20_000 // in memory here at a time
	for done := 0; done < n; {
		specs := make([]task.Spec, min(most, n-done))
		for i := range specs {
			specs[i] = spec(done + i)
		}
		if _, err := m.client.Submit(r.ctx, specs, client.SubmitOptions{}); err != nil {
			return fmt.Errorf("submit %d tasks to %s: %w", n, m.name, err)
		}
		done += len(specs)
	}
	return nil
}

// echo is a task that starts no process.
func echo(int) task.Spec {
	return task.Spec{Type: task.TypeEcho, Payload: []byte(`{"message":"hello"}`)}
}

// trueTask is a task that starts a process that does nothing.
func trueTask(int) task.Spec {
	return task.Spec{Type: task.TypeCommand, Payload: []byte(`{"argv":["true"]}`)}
}
