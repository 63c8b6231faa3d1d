//go:build linux && cgo

package disk

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/store"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// A writer is a process of its own that uses the real store in the way the main node does, in steps: a batch is committed, or the past is
// pruned. It notes in the trace when a step begins, and when the store has said that it is on disk.
const (
	envWriter = "RC_DISK_WRITER" // a life, as JSON: this process is a writer
	envTrace  = "RC_DISK_TRACE"  // read by disk.so too
	envDir    = "RC_DISK_DIR"
)

// life is what one process of the writer does. Step 0 is that the store has been opened for the first time.
type life struct {
	Path       string // of the database
	Seed       uint64
	First      int // step; those up to Last follow
	Last       int
	Checkpoint int  // pages of the log after which it is written back; 0: SQLite's own 1,000
	Normal     bool // the control: synchronous=NORMAL
	Leave      bool // end without closing the store, as kill -9 does
}

// start runs the life under disk.so and waits for its end.
func (l life) start(library, trace string) error {
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LD_PRELOAD="+library, envDir+"="+filepath.Dir(l.Path), envTrace+"="+trace, envWriter+"="+string(b))
	return run(cmd)
}

// writer is the main function of the process.
func writer() error {
	var l life
	if err := json.Unmarshal([]byte(os.Getenv(envWriter)), &l); err != nil {
		return err
	}
	trace, err := os.OpenFile(os.Getenv(envTrace), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	ctx := context.Background()
	db, err := store.Open(ctx, l.Path)
	if err != nil {
		return err
	}
	w := inside(db)
	if err := l.settings(w); err != nil {
		return err
	}
	for step := l.First; step <= l.Last; step++ {
		fmt.Fprintf(trace, "begin - %d 0\n", step)
		if err := l.step(ctx, db, w, step); err != nil {
			return fmt.Errorf("step %d: %w", step, err)
		}
		sum, err := digest(ctx, w)
		if err != nil {
			return err
		}
		fmt.Fprintf(trace, "done - %d %d\n", step, sum)
	}
	if l.Leave {
		return nil
	}
	return db.Close()
}

// inside is the store's writing connection. The product offers no way to have it less safe, or its checkpoints sooner, and shall not.
func inside(db *store.DB) *sql.DB {
	return *(**sql.DB)(reflect.ValueOf(db).Elem().FieldByName("w").Addr().UnsafePointer())
}

func (l life) settings(w *sql.DB) error {
	var all []string
	if l.Checkpoint > 0 {
		all = append(all, fmt.Sprintf("PRAGMA wal_autocheckpoint=%d", l.Checkpoint))
	}
	if l.Normal {
		all = append(all, "PRAGMA synchronous=NORMAL")
	}
	_, err := w.Exec(strings.Join(all, ";"))
	return err
}

// pruneEach is after how many steps the past is pruned, and kept how many tasks of it stay: the less there is in an image, the more images.
const (
	pruneEach = 8
	kept      = 20
)

var began = time.UnixMilli(1_700_000_000_000)

func (l life) step(ctx context.Context, db *store.DB, w *sql.DB, step int) error {
	switch {
	case step == 0:
		return nil
	case step%pruneEach == 0:
		return prune(ctx, db, w)
	}
	return l.batch(db, step).Commit(ctx)
}

func prune(ctx context.Context, db *store.DB, w *sql.DB) error {
	var ended int64
	if err := w.QueryRow("SELECT count(*) FROM tasks WHERE state >= 4").Scan(&ended); err != nil {
		return err
	}
	_, err := db.Prune(ctx, store.Keep{Tasks: kept, Events: 2 * kept, KeysFor: time.Minute}, began.Add(time.Hour), ended, 0)
	return err
}

// batch is what a round of the main node decides: tasks come, those of the batch before are leased, those of the one before that end.
func (l life) batch(db *store.DB, step int) *store.Batch {
	b := db.NewBatch()
	at := began.Add(time.Duration(step) * time.Second)
	news := l.tasks(step)
	for _, t := range news {
		b.Submit(store.NewTask{ID: t.id, Job: task.JobID(news[0].id), Spec: task.Spec{Type: "echo", Payload: t.payload}, Submitted: at})
	}
	b.Key(store.Key{Principal: "p", Key: fmt.Sprint(step), Count: len(news), First: news[0].id, At: at})
	b.Event(cluster.Event{Seq: int64(step), Time: at, Kind: cluster.JobSubmitted, Job: task.JobID(news[0].id), Count: len(news)})
	for _, t := range l.tasks(step - 1) {
		b.Task(store.Task{ID: t.id, State: task.Assigned, Attempt: 1, Device: "pi"})
		b.Attempt(store.Attempt{Task: t.id, Lease: t.lease, Attempt: task.Attempt{Number: 1, Device: "pi", Outcome: task.AttemptLeased, Leased: at}})
	}
	for _, t := range l.tasks(step - 2) {
		b.Task(store.Task{ID: t.id, State: task.Completed, Attempt: 1, Device: "pi", Finished: at, Output: int64(len(t.output))})
		b.Attempt(store.Attempt{Task: t.id, Lease: t.lease, Attempt: task.Attempt{Number: 1, Device: "pi", Outcome: task.AttemptCompleted, Leased: at, Output: int64(len(t.output))}})
		b.Output(t.id, 1, task.Chunk{Stream: task.Stdout, Data: t.output})
	}
	b.Device(store.Device{ID: "pi", Fingerprint: "f", Profile: device.Profile{Slots: 4}, Joined: began, Seen: at, Completed: int64(step)})
	b.Set("step", step)
	return b
}

type plan struct {
	id      task.ID
	lease   string
	payload json.RawMessage
	output  []byte
}

const mostTasks = 3

// tasks are those that a step submits: always the same, whoever asks.
func (l life) tasks(step int) (all []plan) {
	if step < 1 || step%pruneEach == 0 {
		return nil
	}
	r := rand.New(rand.NewPCG(l.Seed, uint64(step)))
	for i := range 1 + r.IntN(mostTasks) {
		all = append(all, plan{
			id:      task.ID(step*mostTasks + i),
			lease:   fmt.Sprintf("%016x", r.Uint64()),
			payload: json.RawMessage(`{"text":"` + letters(r, 20+r.IntN(20)*r.IntN(60)) + `"}`),
			output:  []byte(letters(r, 1+r.IntN(20)*r.IntN(120))),
		})
	}
	return all
}

func letters(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(r.UintN(26))
	}
	return string(b)
}

// everything is all that is in the database but what SQLite keeps for itself: one row, that any difference would show in.
const everything = `SELECT
	(SELECT group_concat(concat_ws('|', key, value)) FROM meta),
	(SELECT group_concat(concat_ws('|', id, job, type, payload, submitted, state, attempt, device, reason, failures, losses, started, finished, exit_code, output)) FROM tasks),
	(SELECT group_concat(concat_ws('|', id, last)) FROM jobs),
	(SELECT group_concat(concat_ws('|', task, number, lease, device, outcome, reason, leased, started, finished, exit_code, output)) FROM attempts),
	(SELECT group_concat(concat_ws('|', task, attempt, position, stream, CAST(data AS TEXT))) FROM output),
	(SELECT group_concat(concat_ws('|', principal, key, idx, count, first, at)) FROM keys),
	(SELECT group_concat(concat_ws('|', id, fingerprint, profile, seen, completed)) FROM devices),
	(SELECT group_concat(concat_ws('|', seq, at, kind, job, count)) FROM events)`

// digest is a number for what is in the database.
func digest(ctx context.Context, db *sql.DB) (int64, error) {
	var parts [8]sql.RawBytes
	rows, err := db.QueryContext(ctx, everything)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	sum := fnv.New64a()
	for rows.Next() {
		if err := rows.Scan(&parts[0], &parts[1], &parts[2], &parts[3], &parts[4], &parts[5], &parts[6], &parts[7]); err != nil {
			return 0, err
		}
		for _, p := range parts {
			fmt.Fprintf(sum, "%d:", len(p))
			sum.Write(p)
		}
	}
	return int64(sum.Sum64() >> 1), rows.Err()
}
