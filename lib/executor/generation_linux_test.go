package executor

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// There is a new generation when something changed, but not one for each change, and none for ever where the clock was set back.
func TestGeneration(t *testing.T) {
	top := t.TempDir()
	s := &Sandbox{Hidden: []string{filepath.Join(top, "state")}}
	var g generation
	if !g.old(s) || g.number != 1 {
		t.Fatal("there is no first one")
	}
	later := func() bool {
		g.looked, g.made = time.Time{}.Add(1), time.Time{} // as if it was long ago
		return g.old(s)
	}
	for later() { // until what was made for this test has settled
	}
	number := g.number
	for i := range 3 {
		if err := os.WriteFile(filepath.Join(top, string(rune('a'+i))), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if !later() {
			t.Error("a change is not seen")
		}
		if g.old(s) {
			t.Error("it is made anew at once")
		}
	}
	for later() {
	}
	if g.number < number+3 {
		t.Errorf("%d generations for three changes", g.number-number)
	}
	for i := range g.dirs { // as a clock shows that was ahead
		g.dirs[i].changed.Sec += 1 << 20
	}
	now := newListing(top, time.Now().Add(-time.Hour), nil)
	if now.settled {
		t.Error("a change in the future is settled")
	}
	if again := newListing(top, time.Now().Add(-time.Hour), []listing{now}); !again.settled {
		t.Error("a change in the future that was there before is never settled")
	}
}

// Which level what was seen to work adds up to.
func TestLevels(t *testing.T) {
	for _, c := range []struct {
		has  confinement
		want int
	}{
		{confinement{}, LevelNone},
		{confinement{tree: true}, LevelTree},
		{confinement{tree: true, user: true}, LevelTree},
		{confinement{tree: true, kernel: true}, LevelTree},
		{confinement{tree: true, landlock: true}, LevelFiles},
		{confinement{tree: true, landlock: true, root: true}, LevelTree},
		{confinement{tree: true, landlock: true, kernel: true, root: true}, LevelTree},
		{confinement{tree: true, landlock: true, user: true}, LevelFiles},
		{confinement{tree: true, landlock: true, kernel: true}, LevelKernel},
		{confinement{tree: true, landlock: true, kernel: true, user: true}, LevelUser},
	} {
		if got := c.has.level(); got != c.want {
			t.Errorf("%+v: %d, want %d", c.has, got, c.want)
		}
	}
}
