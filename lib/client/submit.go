package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// Limits of one message of a submission.
const (
	pageTasks = 1000
	pageBytes = wire.MaxMessage - 4096 // the rest is for what stands around the tasks
)

// patience is how long a submission waits for a main node that is away, as while it restarts.
const patience = 60 * time.Second

// SubmitOptions say how to submit.
type SubmitOptions struct {
	// Key makes a submission that may be sent again: task i of a key is submitted once, however often it is sent.
	// A random one is made when it is empty, since the answer to any message may be lost.
	Key string
}

// Submitted says what became of a submission.
type Submitted struct {
	Job        task.JobID
	Tasks      []task.ID // in the order of the specs
	Duplicates int       // how many of them had been submitted before, under the same key
	Event      int64     // number of the last event before the submission: following events after it misses nothing
	Key        string    // to submit the same again
}

// Submit hands in tasks. When it returns they are on the main node's disk. Many tasks travel as several messages, each
// of which is taken whole or not; with an error comes what was taken before it, and with the same key one can go on.
// It waits a minute for a main node that cannot be reached; then the error is an *UnreachableError.
// Errors: task.ErrInvalid, task.ErrKeyReused, task.ErrQueueFull, wire.ErrForbidden, wire.ErrStorageFull.
func (c *Client) Submit(ctx context.Context, specs []task.Spec, o SubmitOptions) (Submitted, error) {
	all := Submitted{Key: o.Key}
	if all.Key == "" {
		all.Key = strings.ToLower(rand.Text())
	}
	specs = withPayloads(specs)
	for len(specs) > 0 {
		n, err := nextPage(specs)
		if err != nil {
			return all, err
		}
		page := &wire.Submit{Key: all.Key, KeyIndex: len(all.Tasks), Job: all.Job, Tasks: specs[:n]}
		if err := c.submitPage(ctx, page, &all); err != nil {
			return all, err
		}
		specs = specs[n:]
	}
	return all, nil
}

// withPayloads gives an empty object to the tasks without payload: on the wire one has to stand there.
func withPayloads(specs []task.Spec) []task.Spec {
	specs = slices.Clone(specs)
	for i := range specs {
		if len(specs[i].Payload) == 0 {
			specs[i].Payload = json.RawMessage("{}")
		}
	}
	return specs
}

// nextPage is how many of the specs go into one message, at least one.
func nextPage(specs []task.Spec) (int, error) {
	if n := min(len(specs), pageTasks); fitsSurely(specs[:n]) {
		return n, nil
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false) // as wire.Conn writes it
	for i := range specs {
		if i == pageTasks {
			return i, nil
		}
		if err := e.Encode(&specs[i]); err != nil {
			return 0, fmt.Errorf("task %d: %w: %w", i+1, task.ErrInvalid, err)
		}
		if text.Len() > pageBytes {
			return max(i, 1), nil
		}
	}
	return len(specs), nil
}

// fitsSurely says that tasks fit into one message, without writing them all to see; where it does not, they may all the same.
func fitsSurely(specs []task.Spec) bool {
	const others = 512 // the names of all fields, and numbers
	size := 0.0
	for i := range specs {
		s := &specs[i]
		if s.Files != nil || s.Secrets != nil {
			return false
		}
		texts := len(s.Type) + len(s.Name) + len(s.Requirements.Platform) + len(s.Requirements.Role) + len(s.Requirements.Device)
		for _, tag := range s.Requirements.Tags {
			texts += len(tag) + 3
		}
		numbers := s.Timeout + s.Backoff + s.Requirements.MemoryGB + s.Requirements.StorageGB
		if !json.Valid(s.Payload) || math.IsNaN(numbers) || math.IsInf(numbers, 0) {
			return false
		}
		size += float64(len(s.Payload) + 6*texts + 8*len(s.RetryOn) + others) // six bytes: a character may be written as \u0001
	}
	return size <= pageBytes
}

// submitPage submits one page and joins the answer to those before.
func (c *Client) submitPage(ctx context.Context, page *wire.Submit, all *Submitted) error {
	var answer wire.Submitted
	if err := c.patiently(ctx, wire.TypeSubmit, page, &answer); err != nil {
		return err
	}
	if len(answer.Tasks) != len(page.Tasks) {
		return wire.NewError(wire.Errorf(wire.ErrField, "%d ids for %d tasks", len(answer.Tasks), len(page.Tasks)))
	}
	if len(all.Tasks) == 0 {
		all.Job, all.Event = answer.Job, answer.Event
	}
	all.Tasks = append(all.Tasks, answer.Tasks...)
	all.Duplicates += answer.Duplicates
	return nil
}

// patiently asks until the main node has been away for too long.
func (c *Client) patiently(ctx context.Context, kind string, body, answer any) error {
	deadline := time.Now().Add(patience)
	var pause backoff
	for {
		err := c.ask(ctx, kind, body, answer)
		if err == nil || !passing(err) || time.Now().After(deadline) {
			return err
		}
		if err := c.wait(ctx, &pause, err); err != nil {
			return err
		}
	}
}
