package main

import (
	"fmt"
	"slices"
	"strings"
)

// row is something to measure. Its function returns an error where it could not be measured; notHere where this host is the reason.
type row struct {
	name, about string
	measure     func(*run) error
}

// rows is all there is to measure, in the order in which it is.
var rows = []row{
	{"true", "seq N | rc-submit --each --wait -- true {}, against seq N | xargs -P2 -n1 true", rowTrue},
	{"overhead", "CPU of all processes for one true, less that of starting it and waiting for it alone", rowOverhead},
	{"echo", "tasks of type echo, which start no process, from submission to recorded result", rowEcho},
	{"latency", "one client, one idle slot, true: from submission to result", rowLatency},
	{"command", "the whole command rc-submit --wait -- true", rowCommand},
	{"submit64", "64 clients that submit one task a message, each of which is on disk when it is answered", rowSubmit64},
	{"submitbulk", "rc-submit --each and --json with many lines", rowSubmitBulk},
	{"memory", "memory of the main node, idle and after 10,000 tasks", rowMemory},
	{"million", "a million queued tasks: memory, dispatch, restart, rc-status, disk", rowMillion},
	{"devices", "10,000 idle devices connected: memory, heartbeats, rc-status devices, all connecting again at once", rowDevices},
	{"growth", "what a task costs the main node with more devices, more queued tasks, more kinds of requirements", rowGrowth},
	{"followers", "tasks a second while one follows all events and 100 read streams of rc-web, against nobody", rowFollowers},
	{"slowdisk", "tasks a second where every fsync takes 20 ms longer, against where it does not", rowSlowDisk},
	{"idle", "an idle worker: memory, CPU, disk writes; its size for linux/arm64", rowIdle},
	{"output", "a task that prints 1 GiB: memory of worker and main node, and what other tasks notice of it", rowOutput},
	{"archive", "many ended tasks in the database: start, query by id, what retention holds up", rowArchive},
	{"network", "workers 5 ms and 50 ms away: how much of the time their slots are busy", rowNetwork},
}

// choose finds rows by their names; all where none is named.
func choose(names []string) ([]row, error) {
	if len(names) == 0 {
		return rows, nil
	}
	var chosen []row
	for _, name := range names {
		i := slices.IndexFunc(rows, func(r row) bool { return r.name == name })
		if i < 0 {
			var known []string
			for _, r := range rows {
				known = append(known, r.name)
			}
			return nil, fmt.Errorf("no row %q: one of %s", name, strings.Join(known, ", "))
		}
		chosen = append(chosen, rows[i])
	}
	return chosen, nil
}
