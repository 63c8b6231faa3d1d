package simulation

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// mutant is the real source with one rule left out. It lives only while it is tested: go test -overlay puts the changed copy in the place of the
// source.
type mutant struct {
	name     string
	rule     string
	edits    []edit
	schedule string // that must fail
	finds    string // the invariant or rule that it must fail by

	// Instead of finds: why no schedule can tell it from the source, because another rule stands behind this one. A mutant further down leaves out
	// both.
	backed string
}

// edit is one change: old stands in the file exactly once.
type edit struct{ file, old, new string }

// mutants leave out one rule each. The numbers M are those of reliability.md; most are bugs that real systems have had.
var mutants = []mutant{
	{
		name: "M1 a result is keyed by its task only", rule: "R2", schedule: "superseded attempt ends", finds: "I5",
		edits: []edit{{"lib/mainnode/attempt.go", `if t == nil || !t.lastIs(r.Lease, s.device.row.ID) ||`, `if t == nil || t.last == nil ||`}},
	},
	{
		name: "M3 an assignment leaves before its lease is on disk", rule: "R1", schedule: "plain run", finds: "I7",
		edits: []edit{{"lib/mainnode/attempt.go", "	c.batch.Attempt(*t.last)\n	c.move(t, task.Assigned)", "	c.move(t, task.Assigned)"}},
	},
	{
		name: "M4 a result leaves the spool when it is sent", rule: "R8", schedule: "plain run", finds: "I6",
		edits: []edit{{"lib/worker/results.go", "	a.asked = true\n	id := c.nextID()", "	a.asked = true\n	c.do(SpoolJudged{a.lease})\n	id := c.nextID()"}},
	},
	{
		name: "M6 a lease is renewed by the end of a connection", rule: "R12", schedule: "device dies, TCP tells late", finds: "I20",
		edits: []edit{{"lib/mainnode/core.go", "		d.session = nil\n		c.update(d)", "		d.session = nil\n		c.heard(d)\n		c.update(d)"}},
	},
	{
		name: "M7 a restart ends leases by what the disk says of the device", rule: "R15", schedule: "main node restarts", finds: "I19",
		edits: []edit{{"lib/mainnode/load.go", "		d := newMachine(row, c.now)\n", "		d := newMachine(row, c.now)\n		d.last = row.Seen\n"}},
	},
	{
		name: "no grace after a restart", rule: "R15", schedule: "main node restarts, device late", finds: "I19",
		edits: []edit{{"lib/mainnode/load.go", "		d := newMachine(row, c.now)\n", "		d := newMachine(row, c.now)\n		d.last = c.now.Add(-c.set.Lease())\n"}},
	},
	{
		name: "M8 a lost attempt is not counted", rule: "R16", schedule: "poison", finds: "I16",
		edits: []edit{{"lib/mainnode/task.go", "	t.row.Losses++\n", ""}},
	},
	{
		name: "a task's last chance is not its own", rule: "R16", schedule: "poison beside others", finds: "I16",
		edits: []edit{{"lib/mainnode/alone.go", "return t.row.Losses >= lostLimit-1 }", "return false }"}},
	},
	{
		name: "M9 a submission said twice makes two tasks", rule: "R4", schedule: "submitted twice", finds: "I2",
		edits: []edit{{"lib/mainnode/task.go", `	if m.Key != "" {
		known, err`, `	if m.Key == "" {
		known, err`}, {"lib/mainnode/task.go", "	if m.Key != \"\" {\n		c.batch.Key", "	if m.Key == \"\" {\n		c.batch.Key"}},
	},
	{
		name: "M10 a stale verdict is not final", rule: "R8", schedule: "superseded attempt ends", finds: "I6",
		edits: []edit{{"lib/wire/worker.go", "return v == Recorded || v == Duplicate || v == Stale || v == Unknown", "return v == Recorded || v == Duplicate || v == Unknown"}},
	},
	{
		name: "M12 a late result overwrites the end of a task", rule: "R2", schedule: "cancelled while away", finds: "I4",
		edits: []edit{{"lib/mainnode/attempt.go", "		v, err := c.judgeLate(s, t, r.Lease)\n", `		if t == nil {
			c.batch.Task(store.Task{ID: r.Task, State: task.Completed, Attempt: r.Attempt, Device: s.device.row.ID})
			c.touched = append(c.touched, r.Task)
		}
		v, err := c.judgeLate(s, t, r.Lease)
`}},
	},
	{
		name: "M13 a device's right counts from when an answer arrives", rule: "R15", schedule: "exclusive, answers late", finds: "I9",
		edits: []edit{{"lib/worker/core.go", "	c.authority.answered(true)\n", "	for i := range c.authority.beats {\n		c.authority.beats[i] = c.now\n	}\n	c.authority.answered(true)\n"}},
	},
	{
		name: "M14 a device's clock stands still while it sleeps (the clock is the simulator's part; the real one has its own test)", rule: "R15",
		schedule: "exclusive, asleep", finds: "I9",
		edits: []edit{{"lib/simulation/worker_test.go", "	return time.Unix(0, 0).Add(time.Duration(float64(d.w.since()) * d.rate))",
			"	return time.Unix(0, 0).Add(d.w.since() - d.slept)"}},
	},
	{
		name: "M15 what a replaced session says still counts", rule: "R9", schedule: "heartbeat of an old session", finds: "I19",
		edits: []edit{{"lib/mainnode/twins.go", "	delete(c.sessions, s.id)\n", ""}},
	},
	{
		name: "M16 a result is said again only after a new connection", rule: "R8", schedule: "result refused for now", finds: "I12",
		edits: []edit{{"lib/worker/core.go", "		return // verdicts come in order: these are on their way\n	}\n	c.results()\n", "		return // verdicts come in order: these are on their way\n	}\n"}},
	},
	{
		name: "M17 a device's first right counts from when it is welcome", rule: "R15", schedule: "exclusive, welcome late", finds: "I9",
		edits: []edit{{"lib/worker/core.go", "	c.authority.begin(w.Lease, w.Asked)\n", "	c.authority.begin(w.Lease, c.now)\n"}},
	},
	{
		name: "M18 an attempt is begun on a right that is over", rule: "R14", schedule: "assigned in its sleep", finds: "I9",
		edits: []edit{{"lib/worker/core.go", `c.unable() == "" && c.now.Before(c.authority.until) {`, `c.unable() == "" {`}},
	},
	{
		name: "M19 a heartbeat is not held against what the main node believes", rule: "R11", schedule: "assignment dropped", finds: "I12",
		edits: []edit{{"lib/mainnode/device.go", "range c.reconcile(d, h.Held, true, h.AssignSeen) {", "range c.reconcile(d, h.Held, true, -1) {"}},
	},
	{
		name: "M20 an old hello takes the session from a newer one", rule: "R9", schedule: "old hello", finds: "I19",
		edits: []edit{{"lib/mainnode/device.go", "	if h.BootCount < d.row.BootCount || h.BootCount == d.row.BootCount && h.Session <= d.newest {", "	if h.BootCount < 0 {"}},
	},
	{
		name: "a heartbeat takes away what was still under way", rule: "R11", schedule: "assignment under way", finds: "R11",
		edits: []edit{{"lib/mainnode/device.go", "if !there[t.lease()] && t.number <= upTo {", "if !there[t.lease()] {"}},
	},
	{
		name: "a late result does not count though nobody took the task", rule: "R3", schedule: "nobody took it meanwhile", finds: "R3",
		edits: []edit{{"lib/mainnode/task.go", "return t.last.Outcome.Open() || t.last.Outcome == task.AttemptLost || ", "return t.last.Outcome.Open() || "}},
	},
	{
		name: "a cancel is in memory only", rule: "R17", schedule: "cancel and restart", finds: "I11",
		edits: []edit{{"lib/mainnode/attempt.go", "	c.finish(t, task.Cancelled, \"cancelled\", nil)\n", "	c.unqueue(t)\n	delete(c.tasks, id)\n"}},
	},
	{
		name: "a cancel drops a result that was not judged", rule: "R8", schedule: "cancel after the end", finds: "I6",
		edits: []edit{{"lib/worker/core.go", "	switch a.state {\n	case wire.HeldWaiting:\n		c.unqueue(a)\n		c.forget(a)\n		if m.GiveBack {",
			"	switch a.state {\n	case wire.HeldEnded:\n		c.judged(a)\n	case wire.HeldWaiting:\n		c.unqueue(a)\n		c.forget(a)\n		if m.GiveBack {"}},
	},
	{
		name: "a result that nobody knows is said to be recorded", rule: "R24", schedule: "older database", finds: "I6",
		edits: []edit{{"lib/mainnode/attempt.go", "			return wire.Unknown, nil\n", "			return wire.Recorded, nil\n"}},
	},
	{
		name: "a draining device is given tasks", rule: "R19", schedule: "device drains", finds: "I18",
		edits: []edit{{"lib/mainnode/device.go", "	case d.row.Draining:\n", "	case d.row.Draining && d.says == device.Draining:\n"}},
	},
	{
		name: "what a stopped worker gives back counts as lost", rule: "R16", schedule: "worker is stopped", finds: "I18",
		edits: []edit{{"lib/mainnode/attempt.go", "task.AttemptReleased: stopped}", "task.AttemptReleased: lost}"}},
	},
	{
		name: "what a drained device gives back counts as lost", rule: "R19", schedule: "time to drain is over", finds: "I18",
		edits: []edit{{"lib/mainnode/attempt.go", "task.AttemptReleased: stopped}", "task.AttemptReleased: lost}"}},
	},
	{
		name: "nobody sees to it that draining ends in time", rule: "R19", schedule: "time to drain is over", finds: "R19",
		edits: []edit{{"lib/mainnode/device.go", "		c.recall(d)\n", ""}},
	},
	{
		name: "what runs at most once is begun again after a loss", rule: "R18", schedule: "at most once, device dies", finds: "I8",
		edits: []edit{{"lib/mainnode/task.go", "	if how != notBegun && t.policy.AtMostOnce {", "	if how == stopped && t.policy.AtMostOnce {"}},
	},
	{
		name: "what runs at most once is given up though it was not begun", rule: "R18", schedule: "at most once, not begun", finds: "R18",
		edits: []edit{{"lib/mainnode/task.go", "	if how != notBegun && t.policy.AtMostOnce {", "	if t.policy.AtMostOnce {"}},
	},
	{
		name: "a worker says nothing of an attempt whose helper died", rule: "R18", schedule: "begun and ended unheard", finds: "I8",
		edits: []edit{{"lib/worker/results.go", "	if a.unknown {\n		c.forget(a)\n		return\n	}\n	a.cutShort", "	if a.unknown || a.result.Status == task.AttemptLost {\n		c.forget(a)\n		return\n	}\n	a.cutShort"}},
	},
	{
		name: "a cancelled exclusive task is begun at once when it is retried", rule: "R18", schedule: "exclusive, cancelled, retried", finds: "I9",
		edits: []edit{{"lib/mainnode/attempt.go", "	if t.mayRunStill() {", "	if t.last == nil {"}},
	},
	{
		name: "a restart believes the clock how long an exclusive task has waited", rule: "R15", schedule: "exclusive, retried, clock set", finds: "I9",
		edits: []edit{{"lib/mainnode/load.go", "		if !t.row.Eligible.IsZero() && t.mayRunStill() {", "		if t.last == nil && t.mayRunStill() {"}},
	},
	{
		name: "a heartbeat takes back an attempt whose end was told", rule: "R11", schedule: "ended, and a heartbeat behind", finds: "I6",
		edits: []edit{{"lib/mainnode/attempt.go", "		t.told = true\n", ""}},
	},
	{
		name: "two machines with one key take turns for ever", rule: "R9", schedule: "two machines, one key", finds: "R9",
		edits: []edit{{"lib/mainnode/twins.go", "	if len(w.returns) < twinReturns {", "	if len(w.returns) < 1<<30 {"}},
	},
	{
		name: "silence is measured by the wall clock", rule: "R15", schedule: "clock is set", finds: "I19",
		edits: []edit{{"lib/mainnode/device.go", "		quiet := c.now.Sub(d.last)\n", "		quiet := c.now.Round(0).Sub(d.last.Round(0))\n"}},
	},
	{
		name: "a task that leaves a state is counted there", rule: "I14", schedule: "plain run", finds: "I14",
		edits: []edit{{"lib/mainnode/task.go", "		c.counts.state(t.row.State, -1)\n", ""}},
	},
	{
		name: "an event's number is left out", rule: "I15", schedule: "plain run", finds: "I15",
		edits: []edit{{"lib/mainnode/core.go", "	c.lastEvent++\n", "	c.lastEvent += 2\n"}},
	},

	// Two rules that back each other up: leaving one out changes nothing that can be seen, leaving both out does.
	{
		name: "the worker's core does not end exclusive attempts", rule: "R18", schedule: "exclusive, cut off",
		backed: "the slot's helper has the same deadline, and ends them",
		edits:  []edit{{"lib/worker/core.go", "	c.fence()\n", ""}},
	},
	{
		name: "slot helpers have no deadline", rule: "R18", schedule: "exclusive, cut off",
		backed: "the worker's core ends exclusive attempts, as long as its process is not stopped (that is the next but one)",
		edits:  noDeadline,
	},
	{
		name: "nobody ends exclusive attempts", rule: "R18", schedule: "exclusive, cut off", finds: "I9",
		edits: append([]edit{{"lib/worker/core.go", "	c.fence()\n", ""}}, noDeadline...),
	},
	{
		name: "only the worker's process ends exclusive attempts, and it is stopped", rule: "R18", schedule: "exclusive, frozen", finds: "I9",
		edits: noDeadline,
	},
	{
		name: "the end of a lease leaves the session open", rule: "R13", schedule: "silent session",
		backed: "the next heartbeat on it lists what the device holds, and is answered with what to end (R11)",
		edits:  openSession,
	},
	{
		name: "the end of a lease leaves the session open, and heartbeats say nothing", rule: "R13", schedule: "silent session", finds: "I10",
		edits: append([]edit{{"lib/mainnode/device.go", "range c.reconcile(d, h.Held, true, h.AssignSeen) {", "range c.reconcile(d, nil, true, -1) {"}}, openSession...),
	},
	{
		name: "a worker does not go back to what the main node has of the output", rule: "R8", schedule: "output lost under way",
		backed: "the main node asks for what is missing when the result comes",
		edits:  notBack,
	},
	{
		name: "the main node does not ask for missing output", rule: "R8", schedule: "output lost under way",
		backed: "the worker goes back to what the main node has when it is welcome",
		edits:  notAsked,
	},
	{
		name: "missing output is neither sent again nor asked for", rule: "R8", schedule: "output lost under way", finds: "I5",
		edits: append(append([]edit{}, notBack...), notAsked...),
	},
}

var (
	noDeadline = []edit{
		{"lib/worker/core.go", "			start.Until, start.Grace = c.authority.until, graceOf(c.authority.lease)\n", ""},
		{"lib/worker/authority.go", "			c.do(Fence{a.lease, c.authority.until, graceOf(c.authority.lease)})\n", ""},
	}
	openSession = []edit{{"lib/mainnode/device.go", "	if d.session != nil {\n		c.hangUp(d.session)\n	}\n	c.update(d)\n", "	c.update(d)\n"}}
	notBack     = []edit{{"lib/worker/core.go", "			a.sent = min(h.OutputBytes, a.output.size)\n", ""}}
	notAsked    = []edit{{"lib/mainnode/attempt.go", "	if at > t.last.Output {\n", "	if at < 0 {\n"}}
)

const root = "../.."

// TestMutantsApply wants every mutant to be one of the source as it is.
func TestMutantsApply(t *testing.T) {
	for _, m := range mutants {
		if _, err := m.overlay(""); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		if schedules[m.schedule] == nil {
			t.Errorf("%s: there is no schedule %q", m.name, m.schedule)
		}
	}
}

// overlay writes the changed files into dir, and the file that tells the compiler of them.
func (m *mutant) overlay(dir string) (string, error) {
	changed := map[string]string{}
	for _, e := range m.edits {
		if changed[e.file] == "" {
			source, err := os.ReadFile(filepath.Join(root, e.file))
			if err != nil {
				return "", err
			}
			changed[e.file] = string(source)
		}
		if n := strings.Count(changed[e.file], e.old); n != 1 {
			return "", fmt.Errorf("does not apply any more: in %s this stands %d times:\n%s", e.file, n, e.old)
		}
		changed[e.file] = strings.Replace(changed[e.file], e.old, e.new, 1)
	}
	if dir == "" {
		return "", nil
	}
	replace := map[string]string{}
	for file, text := range changed {
		from, err := filepath.Abs(filepath.Join(root, file))
		if err != nil {
			return "", err
		}
		replace[from] = filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(replace[from], []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	overlay := filepath.Join(dir, "overlay.json")
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	return overlay, os.WriteFile(overlay, b, 0o600)
}

// TestMutants wants every mutant to fail its schedule, by the invariant that its rule is there for. It takes turns where not all is to be
// proved: two of them a day.
func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("each compiles a package and links a test")
	}
	chosen := mutants
	if !full {
		first := 2 * time.Now().YearDay() % len(mutants)
		chosen = []mutant{mutants[first], mutants[(first+1)%len(mutants)]}
	}
	caught, backed := 0, 0
	var counting sync.Mutex
	t.Run("all", func(t *testing.T) {
		turns := make(chan struct{}, 2)
		for _, m := range chosen {
			t.Run(m.name, func(t *testing.T) {
				t.Parallel()
				turns <- struct{}{}
				defer func() { <-turns }()
				m.judge(t)
				counting.Lock()
				defer counting.Unlock()
				if caught++; m.backed != "" {
					caught--
					backed++
				}
			})
		}
	})
	if !t.Failed() {
		fmt.Printf("\nLANE mutants mutants=%d caught=%d backed_by_another_rule=%d of=%d\n", len(chosen), caught, backed, len(mutants))
	}
}

// judge compiles a mutant and lets it play its schedule.
func (m *mutant) judge(t *testing.T) {
	overlay, err := m.overlay(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	schedule := strings.ReplaceAll(m.schedule, " ", "_")
	child := exec.CommandContext(t.Context(), "go", "test", "-overlay", overlay, "-vet=off", "-count=1", "-ldflags=-s -w", "-run", "^TestSchedules$/^"+schedule+"$", "./lib/simulation")
	child.Dir = root
	child.Env = append(os.Environ(), "RC_PROVE=")
	out, err := child.CombinedOutput()
	failed := err != nil && strings.Contains(string(out), "--- FAIL: TestSchedules/"+schedule)
	switch {
	case m.backed != "" && err != nil:
		t.Errorf("%s was thought to be backed by another rule, and is not:\n%s", m.rule, out)
	case m.backed != "":
	case !failed:
		t.Errorf("the schedule %q does not fail without %s:\n%s", m.schedule, m.rule, out)
	case !strings.Contains(string(out), " faults: "+m.finds+": "):
		t.Errorf("without %s the schedule %q is to fail by %s:\n%s", m.rule, m.schedule, m.finds, out)
	}
}
