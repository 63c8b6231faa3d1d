package worker

import (
	"cmp"
	"strconv"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// What attempts print and how they end, on its way to the main node until it is judged.

// printed keeps what an attempt printed, and sends it before long.
func (c *Core) printed(in *Printed) {
	a := c.attempts[in.Lease]
	if a == nil || a.unknown {
		return
	}
	a.output.add(in.Stream, in.After, in.Data)
	switch {
	case a.output.size-a.sent >= flushAt:
		c.sendOutput(a)
	case c.flushDue.IsZero():
		c.flushDue = c.now.Add(flushAfter)
	}
}

// progressed takes what an attempt says of how far it has come.
func (c *Core) progressed(in *Progressed) {
	if a := c.attempts[in.Lease]; a != nil && a.progress != in.Text {
		a.progress = in.Text
		c.tellProgress(a)
	}
}

func (c *Core) tellProgress(a *attempt) {
	if a.state == wire.HeldRunning && a.progress != "" && !a.unknown {
		c.send(wire.TypeTaskProgress, wire.Progress{Lease: a.lease, Text: a.progress})
	}
}

// flush sends the output that waits: that of running attempts, and that of ended ones with their results.
func (c *Core) flush() {
	c.flushDue = time.Time{}
	if !c.connected {
		return
	}
	for _, a := range c.sorted() {
		if a.state == wire.HeldRunning {
			c.sendOutput(a)
		}
	}
	c.results()
}

// sendOutput sends the output that waits, as far as the connection takes it.
func (c *Core) sendOutput(a *attempt) {
	for c.connected && a.sent < a.output.size && c.inFlight < maxInFlight {
		chunk := a.output.at(a.sent)
		c.do(SendMessage{wire.Message{Type: wire.TypeTaskOutput, Body: wire.Output{Lease: a.lease, Piece: wire.NewPiece(chunk)}}, int64(len(chunk.Data))})
		a.sent = chunk.End()
		c.inFlight += int64(len(chunk.Data))
	}
}

// ended takes an attempt's end.
func (c *Core) ended(in *Ended) {
	a := c.attempts[in.Lease]
	if a == nil {
		return
	}
	c.running--
	c.busy = c.now
	if !a.stood { // or nobody could tell how long it takes
		c.pace.over(in.ran(c.now.Sub(a.began)))
	}
	a.state, a.result = wire.HeldEnded, in.Result
	if a.unknown {
		c.forget(a)
		return
	}
	a.cutShort(c.stopping)
	if in.Result.Status == task.AttemptReleased { // there was no room to begin it: others would not be better off
		c.resting, c.rested = cmp.Or(in.Result.Reason, "it has no room for another process"), c.now.Add(restTime)
		c.nextBeat = c.now
	}
	c.spooled += a.output.size
	c.over(a)
}

// ran is for how long an attempt had its slot, which is no longer than it is known for.
func (e *Ended) ran(known time.Duration) time.Duration {
	if measured := time.Duration(e.Result.Wall * float64(time.Second)); measured > 0 {
		return min(measured, known)
	}
	return known
}

// kept is what the spool keeps of an ended attempt.
func (a *attempt) kept() Spooled {
	return Spooled{a.lease, a.result, a.output.chunks, a.spec.Exclusive || a.spec.AtMostOnce}
}

// results sends every result that has not been sent on this connection.
func (c *Core) results() {
	for _, a := range c.sorted() {
		if a.state == wire.HeldEnded && !a.asked {
			c.sendResult(a)
		}
	}
}

// sendResult sends a result when the output before it has been handed over. What is left of that comes along.
func (c *Core) sendResult(a *attempt) {
	if !c.connected {
		return
	}
	stdout, stderr, ok := a.output.rest(a.sent, maxInline)
	if !ok {
		c.sendOutput(a)
		if a.sent < a.output.size {
			return // when the connection has taken it
		}
		stdout, stderr = "", ""
	}
	c.keep(a)
	a.asked = true
	id := c.nextID()
	c.asked[id] = question{a.lease, c.now}
	c.do(SendMessage{Message: wire.Message{Type: wire.TypeTaskResult, ID: id, Body: wire.Result{Lease: a.lease, Status: a.result.Status, Reason: a.result.Reason,
		Wall: a.result.Wall, OutputBytes: a.output.size, Ahead: c.ahead(), Files: a.result.Files,
		Result: wire.ResultBody{Output: stdout, ErrorOutput: stderr, ExitCode: a.result.ExitCode, Metrics: a.result.Metrics}}}})
}

func (c *Core) nextID() string {
	c.lastID++
	return strconv.FormatInt(c.lastID, 10)
}

// acked takes the main node's answer to a result or a heartbeat.
func (c *Core) acked(m *wire.Message) {
	q, ok := c.asked[m.ReplyTo]
	if !ok {
		c.beaten(m)
		return
	}
	delete(c.asked, m.ReplyTo)
	c.pace.trip.add(min(c.now.Sub(q.at), longTrip))
	var j wire.Judged
	a := c.attempts[q.lease]
	if m.Decode(&j) != nil || a == nil {
		return
	}
	switch {
	case j.Verdict == wire.Unknown:
		c.do(ParkResult{a.kept()})
		c.judged(a)
	case j.Verdict.Final():
		c.judged(a)
	case j.Verdict == wire.Resend:
		a.sent, a.asked = min(j.OutputBytes, a.output.size), false
		c.sendResult(a)
	}
}

// judged forgets an attempt on which the last word was spoken.
func (c *Core) judged(a *attempt) {
	c.spooled -= a.output.size
	c.do(SpoolJudged{a.lease})
	c.forget(a)
}

// failed takes a refusal. A result that is refused for good would otherwise be sent for ever.
func (c *Core) failed(m *wire.Message) {
	if m.ReplyTo == HeartbeatID {
		c.authority.answered(false)
	}
	q, ok := c.asked[m.ReplyTo]
	if !ok {
		return
	}
	delete(c.asked, m.ReplyTo)
	var e wire.Error
	a := c.attempts[q.lease]
	if a == nil || m.Decode(&e) != nil {
		return
	}
	switch e.Code {
	case "E_FORBIDDEN", "E_FIELD", "E_TOO_LARGE":
		c.judged(a)
	default:
		a.asked = false // again with the next heartbeat
	}
}
