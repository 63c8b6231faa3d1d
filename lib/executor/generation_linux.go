package executor

import "time"

// generation tells the rules by which helpers are confined from those before: what is new beside what is hidden has none in those.
type generation struct {
	number int
	dirs   []listing
	looked time.Time
	made   time.Time
}

// listing is how a directory was when the rules were made that its entries have.
type listing struct {
	path string
	trace
	settled bool // a change since would show
}

const (
	traceGrain = 50 * time.Millisecond  // of the system's clock for changes, generously, where directories are that programs live beside
	lookEvery  = 2 * time.Millisecond   // a task that is submitted comes here later than that
	makeEvery  = 250 * time.Millisecond // where something changes all the time, helpers are not for one attempt each
)

// old says whether there is a generation since the last question.
func (g *generation) old(s *Sandbox) bool {
	now := time.Now()
	if now.Sub(g.looked) < lookEvery || now.Sub(g.made) < makeEvery {
		return false
	}
	first := g.looked.IsZero()
	g.looked = now
	if !first && !g.changed() {
		return false
	}
	g.number, g.made = g.number+1, now
	before := g.dirs
	g.dirs = nil
	for _, dir := range s.listed() {
		g.dirs = append(g.dirs, newListing(dir, now, before))
	}
	return true
}

// newListing looks at a directory. What it shows is settled if its last change is some time ago, by the system's clock, or was there the last time: that clock may
// have been set since.
func newListing(dir string, now time.Time, before []listing) listing {
	l := listing{path: dir, trace: traceOf(dir)}
	age := now.Sub(time.Unix(l.changed.Unix()))
	l.settled = !l.certain || age > traceGrain
	for i := range before {
		if b := &before[i]; b.path == dir && b.trace == l.trace {
			l.settled = true
		}
	}
	return l
}

func (g *generation) changed() bool {
	for i := range g.dirs {
		if d := &g.dirs[i]; !d.settled || traceOf(d.path) != d.trace {
			return true
		}
	}
	return false
}
