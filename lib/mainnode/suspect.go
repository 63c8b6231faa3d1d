package mainnode

import (
	"net/netip"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/limit"
	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// guesses are the wrong secrets that came, from each address and from everywhere. A secret of 130 bits is not guessed; this is so that who tries costs
// little.
type guesses struct {
	each limit.Addresses
	all  limit.Bucket
}

func newGuesses() guesses {
	return guesses{each: limit.Addresses{Most: mostGuesses, Every: guessEvery}}
}

const (
	guessWait    = 100 * time.Millisecond // before a wrong secret is answered, and up to as long again
	mostGuesses  = 5                      // that are answered at once from one address
	guessEvery   = 10 * time.Second       // and then one
	guessedAtAll = 50                     // in a minute, from everywhere
)

// isGuess says whether a refusal was of a secret.
func isGuess(body any, e *wire.Error) bool {
	switch b := body.(type) {
	case *wire.Hello:
		return e.Code == "E_AUTH" && b.Token != ""
	case *wire.Join:
		return e.Code == "E_AUTH" || e.Code == "E_JOIN_TOKEN"
	}
	return false
}

// guessed counts a wrong secret, and gives the answer to it.
func (c *Core) guessed(from string, e *wire.Error) *wire.Error {
	ip, err := netip.ParseAddr(from)
	if err != nil {
		return e
	}
	here := c.guesses.each.Take(ip, c.now)
	all := c.guesses.all.Take(c.now, 1, guessedAtAll, time.Minute/guessedAtAll)
	if wait := max(here, all); wait > 0 {
		return &wire.Error{Code: "E_RATE", RetryAfter: wait.Milliseconds(), Text: "too many wrong tokens or join codes come from there"}
	}
	return e
}

// honest refuses what a device says of an attempt that another device holds: it has that device's lease, which it was never told. An honest one cannot.
func (c *Core) honest(s *session, body any) error {
	var l task.Lease
	switch b := body.(type) {
	case *wire.Accept:
		l = b.Lease
	case *wire.Progress:
		l = b.Lease
	case *wire.Output:
		l = b.Lease
	case *wire.Result:
		l = b.Lease
	case *wire.Release:
		l = b.Lease
	default:
		return nil
	}
	t := c.tasks[l.Task]
	if t == nil || t.last == nil || t.last.Device == s.device.row.ID || t.lease() != l {
		return nil
	}
	c.event(cluster.Event{Kind: cluster.Suspicious, Device: s.device.row.ID, Task: l.Task, Job: t.job, Attempt: l.Attempt,
		Reason: "it speaks for an attempt that " + t.last.Device + " holds; look at that device, or rc-ctl remove it"})
	c.closed(s)
	return wire.Errorf(wire.ErrForbidden, "attempt %d of task %s is another device's", l.Attempt, l.Task)
}
