package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

func exitStatus(err error) int {
	e, ok := errors.AsType[interface {
		error
		ExitStatus() int
	}](err)
	if !ok {
		return -1
	}
	return e.ExitStatus()
}

func TestUnreachable(t *testing.T) {
	p := newPeer(t, nil)
	o := p.options()
	p.stop()
	_, err := client.Dial(within(t, 5*time.Second), o)
	want := fmt.Sprintf("main node %s: connection refused; is rc-mained running there?", o.Main)
	if exitStatus(err) != 69 || err.Error() != want {
		t.Errorf("status %d: %v; want %s", exitStatus(err), err, want)
	}
}

func TestNotATLSPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			c.Close()
		}
	}()
	_, err = client.Dial(within(t, 5*time.Second), client.Options{Main: l.Addr().String(), Pin: strings.Repeat("a", 52), Token: token})
	if exitStatus(err) != 69 || !strings.Contains(err.Error(), "another program") {
		t.Errorf("status %d: %v", exitStatus(err), err)
	}
}

func TestRefused(t *testing.T) {
	p := newPeer(t, func(int, *wire.Conn) {})
	for _, c := range []struct {
		name   string
		change func(*client.Options)
		want   string
	}{
		{"pin of another", func(o *client.Options) { o.Pin = strings.Repeat("a", 52) }, "fingerprint is " + p.identity.Fingerprint()},
		{"no pin", func(o *client.Options) { o.Pin = "x" }, "fingerprint"},
		{"token of another", func(o *client.Options) { o.Token = wire.NewToken(wire.RoleAdmin).String() }, "the token is wrong"},
		{"no token", func(o *client.Options) { o.Token = "" }, "not a token"},
	} {
		o := p.options()
		c.change(&o)
		began := time.Now()
		_, err := client.Dial(within(t, 5*time.Second), o)
		e, ok := errors.AsType[*wire.Error](err)
		if !ok || !strings.Contains(err.Error(), c.want) || e.ExitStatus() != 77 && e.ExitStatus() != 65 || time.Since(began) > 2*time.Second {
			t.Errorf("%s: %v (status %d) after %s", c.name, err, exitStatus(err), time.Since(began))
		}
	}
}

// TestPipelined answers many requests in the opposite order, over one connection.
func TestPipelined(t *testing.T) {
	const many = 50
	p := newPeer(t, func(n int, c *wire.Conn) {
		if n > 0 {
			t.Error("a second connection")
		}
		var all []wire.Message
		each(c, func(m wire.Message) {
			if all = append(all, m); len(all) < many {
				return
			}
			for i := range all {
				m := all[many-1-i]
				answer(c, m, wire.TypeAck, wire.TaskShown{Task: task.Task{State: task.Queued, Spec: task.Spec{Name: decode[wire.ShowTask](t, m).Task}}})
			}
		})
	})
	c := p.dial()
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() {
			id := fmt.Sprint("t", i)
			if got, err := c.Task(within(t, 5*time.Second), id); err != nil || got.Name != id {
				t.Errorf("%s: %q, %v", id, got.Name, err)
			}
		})
	}
	wg.Wait()
}

func TestErrorsOfTheMainNode(t *testing.T) {
	p := newPeer(t, func(_ int, c *wire.Conn) {
		each(c, func(m wire.Message) {
			answer(c, m, wire.TypeError, wire.NewError(wire.Errorf(task.ErrNotFound, "task t123")))
		})
	})
	_, err := p.dial().Task(within(t, 5*time.Second), "t123")
	if !errors.Is(err, task.ErrNotFound) || exitStatus(err) != 1 {
		t.Errorf("%v", err)
	}
}

// TestReconnects asks over a connection that broke unnoticed.
func TestReconnects(t *testing.T) {
	p := newPeer(t, func(n int, c *wire.Conn) {
		m, err := c.ReadMessage()
		if err == nil && n > 0 {
			answer(c, m, wire.TypeAck, nil)
			c.ReadMessage()
		}
	})
	if err := p.dial().Ping(within(t, 5*time.Second)); err != nil {
		t.Error(err)
	}
}

func TestGivesUpWithItsContext(t *testing.T) {
	p := newPeer(t, func(_ int, c *wire.Conn) { each(c, func(wire.Message) {}) })
	c := p.dial()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := c.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	for _, err := range c.Events(ctx, wire.FollowEvents{Follow: true}) {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	}
}

func TestSubmitInPages(t *testing.T) {
	var pages []wire.Submit
	p := newPeer(t, func(n int, c *wire.Conn) {
		each(c, func(m wire.Message) {
			s := decode[wire.Submit](t, m)
			pages = append(pages, s)
			if len(pages) == 2 { // taken, but the answer is lost
				c.Close()
				return
			}
			r := wire.Submitted{Job: 7, Event: int64(len(pages)), Duplicates: 1}
			for i := range s.Tasks {
				r.Tasks = append(r.Tasks, task.ID(s.KeyIndex+i+1))
			}
			answer(c, m, wire.TypeAck, r)
		})
	})
	payload := json.RawMessage(`{"message":"` + strings.Repeat("<", 200<<10) + `"}`)
	specs := make([]task.Spec, 2500)
	for i := range specs {
		specs[i] = task.Spec{Type: task.TypeEcho}
	}
	for i := range 9 {
		specs[i].Payload = payload
	}
	got, err := p.dial().Submit(within(t, 20*time.Second), specs, client.SubmitOptions{})
	if err != nil || got.Job != 7 || got.Event != 1 || len(got.Tasks) != len(specs) || got.Tasks[2499] != 2500 || got.Key == "" {
		t.Fatalf("%v %+v", err, got)
	}
	if got.Duplicates != len(pages)-1 || len(pages) < 5 {
		t.Errorf("%d pages, %d duplicates", len(pages), got.Duplicates)
	}
	for i, s := range pages {
		if len(s.Tasks) > 1000 || s.Key != got.Key || (i > 0) != (s.Job == 7) {
			t.Errorf("page %d: %d tasks, key %q, job %s", i, len(s.Tasks), s.Key, s.Job)
		}
	}
	if pages[1].KeyIndex != pages[2].KeyIndex {
		t.Error("what was lost was not sent again")
	}
}

func TestSubmitWaitsForTheMainNode(t *testing.T) {
	p := newPeer(t, func(_ int, c *wire.Conn) {
		each(c, func(m wire.Message) { answer(c, m, wire.TypeAck, wire.Submitted{Job: 1, Tasks: []task.ID{1}}) })
	})
	o := p.options()
	tries := make(chan error, 100)
	o.Retrying = func(err error) { tries <- err }
	p.stop()
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := <-tries; exitStatus(err) != 69 {
			t.Error(err)
		}
		p.listen(o.Main)
	})
	if _, err := c.Submit(within(t, 20*time.Second), make([]task.Spec, 1), client.SubmitOptions{}); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

func TestTasksInPages(t *testing.T) {
	asked := 0
	p := newPeer(t, func(_ int, c *wire.Conn) {
		each(c, func(m wire.Message) {
			asked++
			l := decode[wire.ListTasks](t, m)
			r := wire.TaskList{}
			for id := l.After + 1; id <= 1200 && len(r.Tasks) < l.Limit; id++ {
				r.Tasks = append(r.Tasks, task.Task{ID: id, State: task.Queued})
				r.Next = id
			}
			if r.Next == 1200 {
				r.Next = 0
			}
			answer(c, m, wire.TypeAck, r)
		})
	})
	c := p.dial()
	for _, tt := range []struct{ limit, want, asked int }{{0, 1200, 3}, {700, 700, 2}, {1, 1, 1}} {
		n := 0
		asked = 0
		for got, err := range c.Tasks(within(t, 5*time.Second), wire.ListTasks{Limit: tt.limit}) {
			if n++; err != nil || got.ID != task.ID(n) {
				t.Fatal(got.ID, err)
			}
		}
		if n != tt.want || asked != tt.asked {
			t.Errorf("limit %d: %d tasks in %d pages", tt.limit, n, asked)
		}
	}
}
