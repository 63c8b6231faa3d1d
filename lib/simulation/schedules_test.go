package simulation

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
	"github.com/retire-cluster/retire-cluster/lib/wire"
	rcworker "github.com/retire-cluster/retire-cluster/lib/worker"
)

// schedules are clusters without chance: each is the shortest story in which a rule matters. The rule is told where a mutant leaves it out.
var schedules = map[string]func(*world){
	"plain run":                       plainRun,
	"submitted twice":                 submittedTwice,
	"main node restarts":              mainRestarts,
	"main node restarts, device late": mainRestartsDeviceLate,
	"superseded attempt ends":         supersededEnds,
	"nobody took it meanwhile":        nobodyTookIt,
	"device dies, TCP tells late":     deviceDiesTCPTellsLate,
	"poison":                          poison,
	"poison beside others":            poisonBesideOthers,
	"cancelled while away":            cancelledWhileAway,
	"cancel and restart":              cancelAndRestart,
	"cancel after the end":            cancelAfterTheEnd,
	"result refused for now":          resultRefusedForNow,
	"assignment dropped":              assignmentDropped,
	"assignment under way":            assignmentUnderWay,
	"old hello":                       oldHello,
	"heartbeat of an old session":     heartbeatOfAnOldSession,
	"silent session":                  silentSession,
	"worker is stopped":               workerIsStopped,
	"device drains":                   deviceDrains,
	"older database":                  olderDatabase,
	"output lost under way":           outputLostUnderWay,
	"clock is set":                    clockIsSet,
	"clock is set while one waits":    clockIsSetWhileOneWaits,
	"exclusive, cut off":              exclusiveCutOff,
	"exclusive, frozen":               exclusiveFrozen,
	"exclusive, asleep":               exclusiveAsleep,
	"exclusive, answers late":         exclusiveAnswersLate,
	"exclusive, welcome late":         exclusiveWelcomeLate,
	"exclusive, cancelled, retried":   exclusiveRetried,
	"exclusive, retried, clock set":   exclusiveRetriedClockSet,
	"assigned in its sleep":           assignedInItsSleep,
	"at most once, device dies":       onceDeviceDies,
	"at most once, not begun":         onceNotBegun,
	"begun and ended unheard":         begunAndEndedUnheard,
	"ended, and a heartbeat behind":   endedHeartbeatBehind,
	"time to drain is over":           drainTimeIsOver,
	"two machines, one key":           twoMachines,
	"power goes after the verdict":    powerGoesAfterVerdict,
}

func TestSchedules(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(schedules)) {
		t.Run(name, func(t *testing.T) { schedules[name](script(t)) })
	}
}

// script begins a world without chance.
func script(t *testing.T) *world {
	w := newWorld(t, 1)
	w.replay = "go test ./lib/simulation -run '" + t.Name() + "$' -v"
	w.calm = true
	w.main.start()
	return w
}

// join adds a device, which is at work when join returns.
func (w *world) join(slots int) *worker {
	d := w.addWorker(slots)
	w.until(time.Minute, d.name+" is at work", func() bool { return d.conn != nil && d.conn.device != "" })
	w.run(time.Second)
	return d
}

// submit submits tasks, which are acknowledged when submit returns.
func (w *world) submit(does ...behaviour) []task.ID {
	var specs []task.Spec
	for _, b := range does {
		specs = append(specs, spec(b))
	}
	key := w.client.submit(1, specs...)
	w.until(time.Minute, key+" is acknowledged", func() bool { return w.client.byKey[key] != nil })
	return w.client.byKey[key]
}

// one submits one task.
func (w *world) one(b behaviour) task.ID { return w.submit(b)[0] }

// started lets time pass until a device runs a task.
func (d *worker) started(id task.ID) {
	d.w.t.Helper()
	d.w.until(20*time.Minute, d.name+" runs "+id.String(), func() bool { return d.runs(id) })
}

func (d *worker) runs(id task.ID) bool {
	for l := range d.running {
		if l.Task == id {
			return true
		}
	}
	return false
}

// unplug takes a device off the network for a while. Nobody tells the main node.
func (d *worker) unplug(most time.Duration) {
	d.away = d.w.now.Add(most)
	d.conn.cut(time.Second)
}

// rest lets everything come to its end and be judged.
func (w *world) rest() {
	w.t.Helper()
	w.run(2 * time.Hour)
	for _, id := range w.client.all {
		w.client.look(id)
	}
	w.client.count()
	w.main.showAll()
	w.see(observation{what: atRest})
	w.settled()
}

// want holds a rule that no invariant tells of.
func (w *world) want(rule string, so bool, words string) {
	w.t.Helper()
	if !so {
		w.fail("%s: it is not so that %s", rule, words)
	}
}

func (w *world) starts(id task.ID) int { return w.judge.task(id).start }

func (w *world) is(id task.ID) task.State { return w.judge.task(id).state }

func (w *world) restart(after time.Duration) {
	w.main.crash()
	w.run(after)
	w.main.start()
}

func plainRun(w *world) {
	w.join(1)
	id := w.one(behaviour{Runs: time.Minute})
	w.client.count()
	w.rest()
	w.want("R1", w.is(id) == task.Completed && w.starts(id) == 1, "the task ran once and is completed")
}

func submittedTwice(w *world) {
	w.join(1)
	key := w.client.submit(2, spec(behaviour{Runs: time.Minute}))
	w.restart(time.Second) // and the client, which has heard nothing yet, asks again
	w.rest()
	w.want("I2", len(w.client.byKey[key]) == 1 && len(w.judge.tasks) == 1, "there is one task")
}

func mainRestarts(w *world) {
	a := w.join(1)
	id := w.one(behaviour{Runs: 20 * time.Minute})
	a.started(id)
	w.join(1) // that could take it
	w.run(10 * time.Minute)
	w.restart(30 * time.Second)
	w.rest()
	w.want("I19", w.starts(id) == 1, "the task was started once")
}

func mainRestartsDeviceLate(w *world) {
	a := w.join(1)
	id := w.one(behaviour{Runs: 20 * time.Minute})
	a.started(id)
	w.join(1)
	w.main.crash()
	a.away = w.now.Add(7 * time.Minute)
	w.run(time.Minute)
	w.main.start()
	w.rest()
	w.want("I19", w.starts(id) == 1, "the task was started once")
}

func supersededEnds(w *world) {
	a := w.join(1)
	id := w.one(behaviour{Runs: 10 * time.Minute})
	a.started(id)
	a.unplug(12 * time.Minute)
	b := w.join(1)
	b.started(id)
	w.rest()
	w.want("R2", w.is(id) == task.Completed && w.starts(id) == 2, "the second attempt has ended the task")
}

// nobodyTookIt: the lease ended, but no other attempt was made: what the device brings back still counts.
func nobodyTookIt(w *world) {
	a := w.join(2)
	ids := w.submit(behaviour{Runs: 5 * time.Minute}, behaviour{Runs: 20 * time.Minute})
	a.started(ids[1])
	a.unplug(9 * time.Minute)
	w.run(9 * time.Minute)
	w.want("I20", w.is(ids[0]) == task.Queued && w.is(ids[1]) == task.Queued, "both were given up")
	w.rest()
	w.want("R3", w.starts(ids[0]) == 1, "the late result counts")
	w.want("R3", w.starts(ids[1]) == 1, "the program that still runs is taken back")
}

func deviceDiesTCPTellsLate(w *world) {
	a := w.join(1)
	id := w.one(behaviour{Runs: 30 * time.Minute})
	a.started(id)
	b := w.join(1)
	w.run(time.Second)
	c := a.conn
	a.crash(true)
	w.run(7 * time.Minute)
	c.tellMain()
	b.started(id)
	a.start()
	w.rest()
}

func poison(w *world) {
	w.join(1)
	id := w.one(behaviour{Poison: true})
	w.rest()
	w.want("I16", w.is(id) == task.Failed && w.starts(id) == lostLimit, "the task was set aside after as many starts as the limit allows")
}

func poisonBesideOthers(w *world) {
	w.join(3)
	ids := w.submit(behaviour{Runs: time.Minute}, behaviour{Poison: true}, behaviour{Runs: time.Minute})
	w.rest()
	w.want("I16", w.is(ids[1]) == task.Failed && w.starts(ids[1]) == lostLimit, "the task was set aside after as many starts as the limit allows")
	w.want("I16", w.is(ids[0]) == task.Completed && w.is(ids[2]) == task.Completed, "what was beside it is completed")
}

func cancelledWhileAway(w *world) {
	a := w.join(2)
	ids := w.submit(behaviour{Runs: 2 * time.Minute}, behaviour{Runs: time.Hour})
	a.started(ids[1])
	a.unplug(4 * time.Minute)
	w.run(time.Minute)
	w.client.cancel(ids[0])
	w.client.cancel(ids[1])
	w.run(time.Minute)
	w.client.look(ids[0])
	w.rest()
	w.want("R17", w.is(ids[0]) == task.Cancelled && w.is(ids[1]) == task.Cancelled, "both are cancelled")
}

func cancelAndRestart(w *world) {
	id := w.one(behaviour{Runs: time.Minute})
	w.client.cancel(id)
	w.run(time.Minute)
	w.restart(time.Second)
	w.join(1)
	w.rest()
	w.want("R17", w.starts(id) == 0, "the task was never started")
}

// cancelAfterTheEnd: the program has ended, and the main node will not hear of it before it says that the task is cancelled.
func cancelAfterTheEnd(w *world) {
	a := w.join(1)
	id := w.one(behaviour{Runs: time.Minute})
	a.started(id)
	refuse := true
	a.conn.turnsDown = func(m *wire.Message) *wire.Error {
		if refuse && m.Type == wire.TypeTaskResult {
			return &wire.Error{Code: "E_STORAGE_FULL", Text: "not now"}
		}
		return nil
	}
	w.until(5*time.Minute, "the program has ended", func() bool { return len(a.spool) == 1 })
	w.client.cancel(id)
	w.run(time.Second)
	refuse = false
	w.rest()
}

func resultRefusedForNow(w *world) {
	a := w.join(1)
	id := w.one(behaviour{Runs: time.Minute})
	a.started(id)
	refused := 0
	a.conn.turnsDown = func(m *wire.Message) *wire.Error {
		if m.Type == wire.TypeTaskResult && refused < 2 {
			refused++
			return &wire.Error{Code: "E_STORAGE_FULL", Text: "not now"}
		}
		return nil
	}
	w.rest()
	w.want("R8", refused == 2 && w.starts(id) == 1, "the result was said until it was taken")
}

// assignmentDropped: the connection is well, but one assignment never becomes an attempt on the device.
func assignmentDropped(w *world) {
	a := w.join(2)
	dropped := 0
	a.conn.swallow = func(m *wire.Message) bool {
		if m.Type == wire.TypeTaskAssign && dropped == 0 {
			dropped++
			return true
		}
		return false
	}
	ids := w.submit(behaviour{Runs: time.Minute}, behaviour{Runs: time.Minute})
	w.rest()
	w.want("R11", w.starts(ids[0]) == 1 && w.starts(ids[1]) == 1, "both ran once")
}

// assignmentUnderWay: a heartbeat that was sent before an assignment arrived says nothing about it.
func assignmentUnderWay(w *world) {
	a := w.join(1)
	a.conn.heldDown = w.now.Add(time.Minute + 10*time.Second)
	w.run(30 * time.Second)
	id := w.one(behaviour{Runs: time.Minute})
	w.rest()
	w.want("R11", w.starts(id) == 1 && w.judge.task(id).lease.Attempt == 1, "the task was given out once")
}

// oldHello: a hello that was long under way arrives when a newer session has been given a task.
func oldHello(w *world) {
	a := w.join(1)
	old := w.now.Add(5 * time.Minute)
	a.slow = old
	a.conn.cut(0)
	w.until(time.Minute, "the device dials", func() bool { return a.conn != nil && a.conn.heldUp.Equal(old) })
	a.slow = time.Time{}
	w.until(3*time.Minute, "the device is welcome on another connection", func() bool { return a.conn != nil && a.conn.device != "" })
	w.run(time.Second)
	id := w.one(behaviour{Runs: 20 * time.Minute})
	a.started(id)
	w.join(1)
	w.rest()
	w.want("R9", w.starts(id) == 1, "the task was started once")
}

// heartbeatOfAnOldSession: it was sent before the task came, and is read behind the hello of the newer session, which has the task.
func heartbeatOfAnOldSession(w *world) {
	a := w.join(1)
	arrives := w.now.Add(80 * time.Second)
	a.conn.heldUp = arrives
	w.run(65 * time.Second) // a heartbeat is under way
	id := w.one(behaviour{Runs: 20 * time.Minute})
	a.started(id)
	w.join(1)
	a.slow = arrives.Add(-100 * time.Microsecond)
	a.conn.cut(0)
	w.rest()
	w.want("R9", w.starts(id) == 1, "the task was started once")
}

// silentSession: a device of somebody else's making that never gives its connection up is heard of again after the end of its lease.
func silentSession(w *world) {
	a := w.join(1)
	a.patient = true
	id := w.one(behaviour{Runs: 30 * time.Minute})
	a.started(id)
	a.conn.heldUp = w.now.Add(10 * time.Minute)
	b := w.join(1)
	b.started(id)
	w.rest()
}

func workerIsStopped(w *world) {
	a := w.join(1)
	id := w.one(behaviour{Runs: 30 * time.Minute})
	a.started(id)
	a.process(func() { a.step(rcworker.Stop{}) })
	w.until(time.Minute, "the worker has left", func() bool { return !a.up })
	w.join(1)
	w.rest()
	w.want("R16", w.starts(id) == 2, "the task was given back and ran elsewhere")
}

func deviceDrains(w *world) {
	a := w.join(2)
	first := w.one(behaviour{Runs: 10 * time.Minute})
	a.started(first)
	w.client.drain(a.name, 0)
	w.run(time.Second)
	second := w.one(behaviour{Runs: time.Minute})
	w.restart(time.Second)
	w.run(30 * time.Minute)
	w.want("I18", w.is(first) == task.Completed && w.starts(second) == 0, "what ran is finished, and nothing new was begun")
	w.client.undrain(a.name)
	w.rest()
}

// olderDatabase: the main node's disk is put back to what it was, and a device brings results of which it never heard.
func olderDatabase(w *world) {
	a := w.join(3)
	w.main.crash()
	backup := filepath.Join(w.t.TempDir(), "cluster.db")
	copyFile(w.t, w.main.path, backup)
	w.main.start()
	ids := w.submit(behaviour{Runs: time.Minute}, behaviour{Runs: time.Minute}, behaviour{Runs: time.Hour})
	a.started(ids[2])
	a.unplug(5 * time.Minute)
	w.run(2 * time.Minute)
	w.main.crash()
	copyFile(w.t, backup, w.main.path)
	w.main.open()
	last, err := w.main.db.LastEvent(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	w.see(observation{what: restored, seq: last})
	w.client.all = nil
	w.main.start()
	other := w.one(behaviour{Runs: 10 * time.Minute})
	w.rest()
	w.want("R24", w.is(other) == task.Completed && w.judge.task(other).start > 0, "the new task has its own result")
}

func copyFile(t *testing.T, from, to string) {
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, behind := range []string{"-wal", "-shm"} {
		os.Remove(to + behind)
	}
}

// outputLostUnderWay: what was printed had left, and never arrived.
func outputLostUnderWay(w *world) {
	a := w.join(1)
	id := w.one(behaviour{Runs: 100 * time.Second})
	a.started(id)
	w.run(time.Second)
	a.conn.deaf = true // until the device notices, it believes that what it says arrives
	w.rest()
	w.want("I5", w.is(id) == task.Completed, "the task is completed")
}

// clockIsSet: the main node's wall clock jumps while tasks run and wait, and across a restart.
func clockIsSet(w *world) {
	const years10 = 10 * 365 * 24 * time.Hour
	a := w.join(1)
	ids := w.submit(behaviour{Runs: 20 * time.Minute}, behaviour{Runs: time.Minute})
	a.started(ids[0])
	for _, wrong := range []time.Duration{years10, -years10, time.Hour, -time.Hour} {
		w.run(10 * time.Second)
		w.main.wall = wrong
		w.run(time.Minute)
		w.main.wall = -wrong
		w.restart(10 * time.Second)
		w.run(time.Minute)
	}
	w.rest()
	w.want("I17", w.starts(ids[0]) == 1 && w.starts(ids[1]) == 1, "both ran once")
}

// clockIsSetWhileOneWaits: a task waits for its retry, the main node restarts, and then its wall clock is set back.
func clockIsSetWhileOneWaits(w *world) {
	a := w.join(1)
	failing := spec(behaviour{Runs: time.Second, Exit: 1})
	failing.Retries = 1
	w.client.submit(1, failing)
	w.until(time.Minute, "it has failed", func() bool { return len(a.spool) > 0 })
	w.run(500 * time.Millisecond)
	w.restart(100 * time.Millisecond)
	w.main.wall = -10 * 365 * 24 * time.Hour
	w.rest()
}

// Those that follow are of exclusive tasks, on a device that cannot be heard of while another one is free.

func exclusiveTask(w *world, a *worker) task.ID {
	id := w.one(behaviour{Runs: time.Hour, mode: mode{exclusive: true}})
	a.started(id)
	w.join(1)
	w.run(10 * time.Minute)
	return id
}

func exclusiveCutOff(w *world) {
	a := w.join(1)
	id := exclusiveTask(w, a)
	a.unplug(15 * time.Minute)
	w.rest()
	w.want("R18", w.starts(id) == 2, "another device has begun anew")
}

func exclusiveFrozen(w *world) {
	a := w.join(1)
	id := exclusiveTask(w, a)
	a.frozen = w.now.Add(15 * time.Minute)
	w.rest()
	w.want("R18", w.starts(id) == 2, "another device has begun anew")
}

func exclusiveAsleep(w *world) {
	a := w.join(1)
	id := exclusiveTask(w, a)
	a.sleep(w.now.Add(15 * time.Minute))
	w.rest()
	w.want("R18", w.starts(id) == 2, "another device has begun anew")
}

// exclusiveAnswersLate: what counts is when a heartbeat was sent, not when its answer arrives; and clocks are not all the same.
func exclusiveAnswersLate(w *world) {
	a := w.join(1)
	a.rate = 0.976
	exclusiveTask(w, a)
	beats := a.conn.up
	w.until(2*time.Minute, "a heartbeat was sent", func() bool { return a.conn.up.After(beats) })
	a.conn.heldDown = w.now.Add(28 * time.Second) // later the device would give the connection up
	w.run(time.Second)
	a.conn.heldUp = w.now.Add(time.Hour)
	w.run(28 * time.Second)
	a.unplug(20 * time.Minute)
	w.rest()
}

// exclusiveWelcomeLate: the same of the first answer, when there was no heartbeat yet.
func exclusiveWelcomeLate(w *world) {
	a := w.join(1)
	a.unplug(30 * time.Second)
	w.until(time.Minute, "the connection is given up", func() bool { return a.conn == nil })
	id := w.one(behaviour{Runs: time.Hour, mode: mode{exclusive: true}})
	w.until(time.Minute, "the device has asked", func() bool { return a.conn != nil })
	a.conn.heldDown = w.now.Add(80 * time.Second)
	w.until(time.Minute, "the main node has answered", func() bool { return a.conn.device != "" })
	a.conn.heldUp = w.now.Add(time.Hour)
	a.started(id)
	w.join(1)
	a.unplug(20 * time.Minute)
	w.rest()
}

// exclusiveRetried: what was cancelled by hand may run still on a device that has not heard of that.
func exclusiveRetried(w *world) {
	a := w.join(1)
	id := exclusiveTask(w, a)
	w.cancelAway(a, id)
	w.client.retry(id)
	w.rest()
	w.want("R18", w.starts(id) == 1, "it was begun once after the retry")
}

// exclusiveRetriedClockSet: the same, while the main node's clock is set ahead across a restart.
func exclusiveRetriedClockSet(w *world) {
	a := w.join(1)
	id := exclusiveTask(w, a)
	w.cancelAway(a, id)
	w.client.retry(id)
	w.run(time.Second)
	w.main.wall = time.Hour
	w.restart(time.Second)
	w.rest()
}

// cancelAway cancels what runs on a device that the main node cannot reach.
func (w *world) cancelAway(a *worker, id task.ID) {
	c := a.conn
	a.unplug(6 * time.Minute)
	c.tellMain()
	w.run(time.Second)
	w.client.cancel(id)
	w.run(time.Second)
}

// assignedInItsSleep: what was given to a device before it slept has been given to another when it wakes up and reads it.
func assignedInItsSleep(w *world) {
	a := w.join(1)
	w.run(30 * time.Second)
	a.patient = true // and its connection is well
	a.conn.heldDown = w.now.Add(2 * time.Second)
	id := w.one(behaviour{Runs: time.Hour, mode: mode{exclusive: true}})
	w.run(time.Second)
	a.sleep(w.now.Add(10 * time.Minute))
	b := w.join(1)
	b.started(id)
	w.rest()
	w.want("R14", w.starts(id) == 1, "it was begun once")
}

func onceDeviceDies(w *world) {
	a := w.join(1)
	id := w.one(behaviour{Runs: time.Hour, mode: mode{once: true}})
	a.started(id)
	w.join(1)
	a.crash(true)
	w.run(time.Minute)
	a.start()
	w.rest()
	w.want("R18", w.is(id) == task.Failed && w.starts(id) == 1, "its outcome is not known")
}

// onceNotBegun: what was certainly not begun is given to another.
func onceNotBegun(w *world) {
	a := w.join(1)
	a.conn.swallow = func(m *wire.Message) bool { return m.Type == wire.TypeTaskAssign }
	id := w.one(behaviour{Runs: time.Minute, mode: mode{once: true}})
	w.run(time.Second)
	a.conn.cut(0)
	w.rest()
	w.want("R18", w.is(id) == task.Completed && w.starts(id) == 1, "it ran once")
}

// begunAndEndedUnheard: an attempt is begun and ended by its helper's death, and every word of that goes down with the connection.
func begunAndEndedUnheard(w *world) {
	a := w.join(1)
	a.conn.deaf = true
	id := w.one(behaviour{Runs: time.Minute, mode: mode{once: true}})
	a.started(id)
	for _, p := range a.running {
		a.end(p, task.Result{Status: task.AttemptLost})
	}
	w.run(time.Second)
	a.conn.cut(0)
	w.rest()
	w.want("R18", w.starts(id) == 1, "it was begun once")
}

// endedHeartbeatBehind: a device tells that it has ended an attempt, and behind that comes a heartbeat that was sent before the answer.
func endedHeartbeatBehind(w *world) {
	a := w.join(1)
	id := w.one(behaviour{Runs: 10 * time.Minute})
	a.started(id)
	a.conn.heldUp = w.now.Add(80 * time.Second)
	w.run(time.Second)
	for _, p := range a.running {
		a.end(p, task.Result{Status: task.AttemptLost})
	}
	w.rest()
	w.want("R16", w.starts(id) == 2, "it was begun once more")
}

func drainTimeIsOver(w *world) {
	a := w.join(1)
	id := w.one(behaviour{Runs: time.Hour})
	a.started(id)
	w.join(1)
	w.client.drain(a.name, 5*time.Minute)
	w.rest()
	w.want("R19", w.starts(id) == 2, "it was given back and ran elsewhere")
}

// twoMachines: a copy of a device's disk is at work in another machine.
func twoMachines(w *world) {
	a := w.join(1)
	b := &worker{w: w, name: "its copy", key: a.key, rate: 1, slots: 1, boot: a.boot, copied: true}
	w.workers = append(w.workers, b)
	b.start()
	w.run(20 * time.Minute)
	w.want("R9", a.twice && b.twice, "they are told that there are two")
	b.crash(true)
	b.gone = true
	w.workers = w.workers[:1]
	id := w.one(behaviour{Runs: time.Minute})
	w.rest()
	w.want("R9", w.is(id) == task.Completed, "the one that is left works")
}

// powerGoesAfterVerdict: that a result was judged was not written whole when the power went; the result comes again.
func powerGoesAfterVerdict(w *world) {
	a := w.join(1)
	id := w.one(behaviour{Runs: time.Minute})
	w.until(5*time.Minute, "the result was judged", func() bool { return len(a.lately) == 1 })
	for _, k := range a.lately {
		w.see(observation{what: spooled, device: a.name, lease: k.Lease, outcome: k.Result.Status})
	}
	a.spool, a.lately = a.lately, nil
	a.crash(true)
	a.start()
	w.rest()
	w.want("R2", w.starts(id) == 1, "it ran once")
}
