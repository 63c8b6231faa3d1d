package executor

import "time"

// generation tells the rules by which helpers are confined from those before: what is new beside what is hidden has none in those.
type generation struct {
	number int
	dirs   []listing
	looked time.Time
}

// listing is how a directory was when the rules were made that its entries have.
type listing struct {
	path string
	trace
	settled bool // a change since would show
}

const (
	traceGrain = 50 * time.Millisecond // of the system's clock for changes, generously, where directories are that programs live beside
	lookEvery  = 2 * time.Millisecond  // a task that is submitted comes here later than that
)

// old says whether there is a generation since the last question.
func (g *generation) old(s *Sandbox) bool {
	now := time.Now()
	if now.Sub(g.looked) < lookEvery {
		return false
	}
	first := g.looked.IsZero()
	g.looked = now
	if !first && !g.changed() {
		return false
	}
	g.number++
	g.dirs = g.dirs[:0]
	for _, dir := range s.listed() {
		t := traceOf(dir)
		g.dirs = append(g.dirs, listing{dir, t, !t.certain || now.Sub(time.Unix(t.changed.Unix())) > traceGrain})
	}
	return true
}

func (g *generation) changed() bool {
	for i := range g.dirs {
		if d := &g.dirs[i]; !d.settled || traceOf(d.path) != d.trace {
			return true
		}
	}
	return false
}
