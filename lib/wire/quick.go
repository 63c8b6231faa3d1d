package wire

import (
	"bytes"
	"encoding"
	"encoding/json"
	"strconv"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// quick is the data of a message of which there are many. It reads itself where it is written as nearly always: only fields that are known, in JSON that
// was seen to be valid. false: encoding/json is to read it, from the beginning.
type quick interface {
	quick(c cursor) bool
}

func (j *Judged) quick(c cursor) bool {
	var q Judged
	ok := c.object(func(name string) bool {
		switch name {
		case "verdict":
			return c.string((*string)(&q.Verdict))
		case "output_bytes":
			return c.int64(&q.OutputBytes)
		}
		return c.lease(name, &q.Lease)
	})
	if ok {
		*j = q
	}
	return ok
}

func (r *Result) quick(c cursor) bool {
	var q Result
	ok := c.object(func(name string) bool {
		switch name {
		case "status":
			return c.string((*string)(&q.Status))
		case "reason":
			return c.string(&q.Reason)
		case "execution_time":
			return c.float(&q.Wall)
		case "output_bytes":
			return c.int64(&q.OutputBytes)
		case "ahead":
			return c.int(&q.Ahead)
		case "result":
			return c.result(&q.Result)
		}
		return c.lease(name, &q.Lease)
	})
	if ok {
		*r = q
	}
	return ok
}

func (c *cursor) result(r *ResultBody) bool {
	return c.object(func(name string) bool {
		switch name {
		case "output":
			return c.string(&r.Output)
		case "error_output":
			return c.string(&r.ErrorOutput)
		case "exit_code":
			r.ExitCode = new(int)
			return c.int(r.ExitCode)
		case "metrics":
			return c.object(func(name string) bool {
				switch name {
				case "cpu_time":
					return c.float(&r.Metrics.CPUTime)
				case "memory_peak":
					return c.int64(&r.Metrics.MemoryPeak)
				}
				return false
			})
		}
		return false
	})
}

func (a *Assign) quick(c cursor) bool {
	var q Assign
	ok := c.object(func(name string) bool {
		switch name {
		case "number":
			return c.int64(&q.Number)
		case "task":
			return c.object(func(name string) bool {
				return c.lease(name, &q.Task.Lease) || c.spec(name, &q.Task.Spec)
			})
		}
		return false
	})
	if ok {
		*a = q
	}
	return ok
}

func (s *Submit) quick(c cursor) bool {
	var q Submit
	ok := c.object(func(name string) bool {
		switch name {
		case "key":
			return c.string(&q.Key)
		case "key_index":
			return c.int(&q.KeyIndex)
		case "job_id":
			return c.read(&q.Job)
		case "tasks":
			q.Tasks = []task.Spec{}
			return c.list(func() bool {
				var spec task.Spec
				ok := c.object(func(name string) bool { return c.spec(name, &spec) })
				q.Tasks = append(q.Tasks, spec)
				return ok
			})
		}
		return false
	})
	if ok {
		*s = q
	}
	return ok
}

func (e *Event) quick(c cursor) bool {
	var q Event
	ok := c.object(func(name string) bool {
		switch name {
		case "seq":
			return c.int64(&q.Seq)
		case "timestamp":
			return c.read(&q.Time)
		case "event":
			return c.string((*string)(&q.Kind))
		case "device_id":
			return c.string(&q.Device)
		case "job_id":
			return c.read(&q.Job)
		case "task_id":
			return c.read(&q.Task)
		case "attempt":
			return c.int(&q.Attempt)
		case "state":
			return c.read(&q.State)
		case "exit_code":
			q.ExitCode = new(int)
			return c.int(q.ExitCode)
		case "output_bytes":
			return c.int64(&q.Output)
		case "result":
			q.Pieces = []Piece{}
			return c.list(func() bool {
				var p Piece
				ok := c.piece(&p)
				q.Pieces = append(q.Pieces, p)
				return ok
			})
		}
		return false
	})
	if ok {
		*e = q
	}
	return ok
}

func (c *cursor) piece(p *Piece) bool {
	return c.object(func(name string) bool {
		switch name {
		case "stream":
			return c.read(&p.Stream)
		case "position":
			return c.int64(&p.Position)
		case "after_ms":
			return c.int64(&p.AfterMS)
		case "data":
			return c.string(&p.Text)
		}
		return false
	})
}

// lease reads a field of a lease, if it is one.
func (c *cursor) lease(name string, l *task.Lease) bool {
	switch name {
	case "task_id":
		return c.read(&l.Task)
	case "attempt":
		return c.int(&l.Attempt)
	case "lease":
		return c.string(&l.Token)
	}
	return false
}

// spec reads a field of what to run, if it is one.
func (c *cursor) spec(name string, s *task.Spec) bool {
	switch name {
	case "task_type":
		return c.string(&s.Type)
	case "name":
		return c.string(&s.Name)
	case "priority":
		return c.read(&s.Priority)
	case "timeout":
		return c.float(&s.Timeout)
	case "max_retries":
		return c.int(&s.Retries)
	case "payload":
		raw, ok := c.value()
		s.Payload = bytes.Clone(raw)
		return ok
	case "requirements":
		raw, ok := c.value()
		return ok && (string(raw) == "{}" || json.Unmarshal(raw, &s.Requirements) == nil)
	}
	return false
}

// object reads an object, each field of which is read by field.
func (c *cursor) object(field func(name string) bool) bool {
	if !c.take('{') {
		return false
	}
	for first := true; !c.take('}'); first = false {
		if !first && !c.take(',') {
			return false
		}
		name, ok := c.text()
		if !ok || !c.take(':') || !field(string(name)) {
			return false
		}
	}
	return true
}

// list reads an array, each element of which is read by element.
func (c *cursor) list(element func() bool) bool {
	if !c.take('[') {
		return false
	}
	for first := true; !c.take(']'); first = false {
		if !first && !c.take(',') || !element() {
			return false
		}
	}
	return true
}

// string reads a text, with escapes if there are any.
func (c *cursor) string(into *string) bool {
	if text, ok := c.text(); ok {
		*into = string(text)
		return true
	}
	c.skipSpace()
	for i := 1; i < len(*c) && (*c)[0] == '"'; i++ {
		switch (*c)[i] {
		case '\\':
			i++
		case '"':
			token := (*c)[:i+1]
			*c = (*c)[i+1:]
			return json.Unmarshal(token, into) == nil
		}
	}
	return false
}

// read reads a text that has a meaning.
func (c *cursor) read(into encoding.TextUnmarshaler) bool {
	text, ok := c.text()
	return ok && into.UnmarshalText(text) == nil
}

// number is a number as it is written.
func (c *cursor) number() string {
	c.skipSpace()
	n := 0
	for n < len(*c) && ((*c)[n] >= '0' && (*c)[n] <= '9' || bytes.IndexByte([]byte("+-.eE"), (*c)[n]) >= 0) {
		n++
	}
	text := string((*c)[:n])
	*c = (*c)[n:]
	return text
}

func (c *cursor) int64(into *int64) bool {
	n, err := strconv.ParseInt(c.number(), 10, 64)
	*into = n
	return err == nil
}

func (c *cursor) int(into *int) bool {
	n, err := strconv.Atoi(c.number())
	*into = n
	return err == nil
}

func (c *cursor) float(into *float64) bool {
	n, err := strconv.ParseFloat(c.number(), 64)
	*into = n
	return err == nil
}
