package worker

import (
	"slices"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// What attempts begin and how they end is told together, where nobody waits for it: the start of a short task is not told before its end, and while
// this device has more to begin, an end waits a moment for those that follow. So a round of the main node, with its commit, is for many.
const (
	reportAfter = 10 * time.Millisecond
	reportMost  = 128 // ends that wait
)

// reports is what waits to be told.
type reports struct {
	begun []*attempt
	ended []*attempt
	due   time.Time // zero: nothing waits
}

// question is a result that was sent and not judged yet.
type question struct {
	lease task.Lease
	at    time.Time // when it was sent
}

// begun notes that an attempt is being started. The main node hears it at once where it matters for what happens if it never hears of this device again.
func (c *Core) begun(a *attempt) {
	if a.spec.Exclusive || a.spec.AtMostOnce {
		c.send(wire.TypeTaskAccept, wire.Accept{Lease: a.lease})
		return
	}
	c.reports.begun = append(c.reports.begun, a)
	c.reports.by(c.now)
}

// over notes that an attempt has ended.
func (c *Core) over(a *attempt) {
	c.reports.ended = append(c.reports.ended, a)
	c.reports.by(c.now)
}

func (r *reports) by(now time.Time) {
	if r.due.IsZero() {
		r.due = now.Add(reportAfter)
	}
}

// report tells what waits to be told, if it is time: at once when an end is all that this device waits for.
func (c *Core) report() {
	r := &c.reports
	more := len(c.queue) > 0 || c.running > c.slots
	urgent := len(r.ended) > 0 && (!more || len(r.ended) >= reportMost)
	if r.due.IsZero() || !urgent && c.now.Before(r.due) {
		return
	}
	r.due = time.Time{}
	r.begun = slices.DeleteFunc(r.begun, c.accepted)
	for _, a := range r.ended {
		c.keep(a)
	}
	for _, a := range r.ended {
		if !a.asked {
			c.sendResult(a)
		}
	}
	clear(r.ended)
	r.ended = r.ended[:0]
	if len(r.begun) > 0 {
		r.by(r.begun[0].began)
	}
}

// accepted tells that an attempt has begun, unless it may be over in a moment; true: nothing of that is to be told later.
func (c *Core) accepted(a *attempt) bool {
	if a.state != wire.HeldRunning || a.unknown {
		return true
	}
	if c.now.Sub(a.began) < reportAfter {
		return false
	}
	c.send(wire.TypeTaskAccept, wire.Accept{Lease: a.lease})
	return true
}

// keep has a result spooled, which is to be before it is sent.
func (c *Core) keep(a *attempt) {
	if !a.spooled {
		a.spooled = true
		c.do(SpoolResult{a.kept()})
	}
}

// pace is how quickly things go on here.
type pace struct {
	ran   usual // for how long an attempt has a slot
	trip  peak  // from a result to its verdict
	short int   // attempts since the last one that was not short
}

const (
	steady   = 4               // short attempts, after which it is believed that more follow
	longTrip = 2 * time.Second // that an answer is taken to need at the most: one that took longer was held up, by a device's sleep perhaps
	longWait = time.Second     // at the least, without that any attempt was begun: then what waits may be begun elsewhere
)

// gap is how long a slot would be empty between two attempts.
func (p *pace) gap() time.Duration { return time.Duration(p.trip) + reportAfter }

// over takes how long an attempt has had its slot. Where the gap is a fiftieth of that or less, it does not matter.
func (p *pace) over(ran time.Duration) {
	p.ran.add(ran)
	if p.short++; p.gap() <= ran/50 {
		p.short = 0
	}
}

// usual is a span that was measured often, the newest counting most.
type usual time.Duration

func (u *usual) add(d time.Duration) {
	if *u == 0 {
		*u = usual(d)
	}
	*u += (usual(d) - *u) / 8
}

// peak is the longest of spans that were measured lately.
type peak time.Duration

func (p *peak) add(d time.Duration) { *p = max(peak(d), *p-*p/256) }

// ahead is how many attempts this device would hold beyond those that it runs, so that no slot is empty while a result travels to the main node and
// the next attempt comes back. There are none unless attempts are short: they may begin elsewhere.
func (c *Core) ahead() int {
	gap, ran := c.pace.gap(), max(time.Duration(c.pace.ran), time.Microsecond)
	if c.pace.short < steady || gap <= ran/50 || c.draining || c.unable() != "" || c.full() {
		return 0
	}
	if c.lines != nil && ran <= lineRun { // their ends are heard of later
		gap += lineSpan
	}
	each := (gap + ran - 1) / ran
	return int(min(each*time.Duration(c.slots), wire.MaxAhead))
}

// crowded says whether attempts wait because all slots are taken.
func (c *Core) crowded() bool { return len(c.queue) > 0 && c.running >= c.slots && c.connected }

// patience is until when what waits is kept.
func (c *Core) patience() time.Time {
	return c.moved.Add(max(longWait, 2*time.Duration(c.pace.ran)))
}

// spare gives back what waits where this device can begin nothing now, or where attempts take longer than those before them: others may come to it
// sooner, or something else may be more urgent.
func (c *Core) spare() {
	reason := c.unable()
	switch {
	case len(c.queue) == 0 || !c.connected:
		return
	case reason == "" && (c.running < c.slots || c.now.Before(c.patience())):
		return
	case reason == "":
		reason = "it would wait here for too long"
		c.pace.short = 0
	}
	c.beat() // says that nothing is wanted ahead
	for _, a := range c.queue {
		c.forget(a)
		c.send(wire.TypeTaskRelease, wire.Release{Lease: a.lease, Reason: reason})
	}
	c.queue = nil
}
