package executor

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The end of processes that no helper answers for any more.

const (
	strayLimit = 5 * time.Second // for killed processes, which are not this one's children, to be gone
	looks      = 5               // that must find none
)

// endProcesses kills those for whom is says so, and all that they have started, but never this process nor whom it descends from.
func endProcesses(is func(entry) bool) (killed, left int) {
	seen := map[int]bool{}
	find := func() []entry {
		all := processes()
		own := ancestors(all)
		return slices.DeleteFunc(below(all, func(e entry) bool { return !own[e.pid] && is(e) }, true), func(e entry) bool { return own[e.pid] })
	}
	pause, quiet := time.Millisecond, 0
	for begin := SinceBoot(); ; time.Sleep(pause) {
		found := find()
		if len(found) > 0 {
			quiet = 0
		} else if quiet++; quiet < looks { // one that is becoming another program cannot be told just then
			continue
		}
		if len(found) == 0 || SinceBoot()-begin > strayLimit {
			return len(seen), len(found)
		}
		for _, e := range found {
			seen[e.pid] = true
		}
		killAll(find)
		pause = min(2*pause, 100*time.Millisecond)
	}
}

// ancestors are this process and those that it descends from.
func ancestors(all []entry) map[int]bool {
	own := map[int]bool{}
	parents := map[int]int{}
	for _, e := range all {
		parents[e.pid] = e.parent
	}
	for pid := os.Getpid(); pid > 0 && !own[pid]; pid = parents[pid] {
		own[pid] = true
	}
	return own
}

// orphanedHelper says whether a process is a helper of this folder whose host is gone, and that does not notice because it is stopped.
func orphanedHelper(e entry, base string) bool {
	var line [8 << 10]byte
	name, setup, ok := strings.Cut(string(line[:readProc(e.pid, "cmdline", line[:])]), "\x00"+slotMark+"\x00")
	if !ok || name != slotName || e.parent == os.Getpid() {
		return false
	}
	dir, err := json.Marshal(base + "/" + slotPrefix)
	return err == nil && strings.Contains(setup, `"Dir":`+strings.TrimSuffix(string(dir), `"`))
}

// endStrays kills what is still at work in private directories: it outlived an executor that was killed.
func (x *Executor) endStrays() {
	base := x.options.Dir
	real, err := filepath.EvalSymlinks(base)
	if err != nil {
		real = base
	}
	killed, left := endProcesses(func(e entry) bool {
		return orphanedHelper(e, base) || livesIn(e.pid, func(dir string) bool {
			return strings.HasPrefix(dir, real+"/") || strings.HasPrefix(dir, base+"/")
		})
	})
	if left > 0 {
		x.options.Log.Error("processes of earlier attempts cannot be killed", "killed", killed-left, "left", left)
	} else if killed > 0 {
		x.options.Log.Warn("killed processes that earlier attempts had left", "processes", killed)
	}
}
