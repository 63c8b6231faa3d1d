package store

import (
	"database/sql"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// Of each version of the schema that was released, testdata holds a database that the programs of that time wrote: a small cluster that ran
// real tasks, and whose main node was killed while one was running. None is ever removed or written again.

// goldenTasks says what is in such a database, by the name of the task: its state, attempts, failures and bytes of output.
var goldenTasks = map[string]map[string]string{
	"v1.db": {
		"count": "12 × completed, attempt 1, 0 failures, output 87", "broken": "1 × failed, attempt 2, 2 failures, output 8", "slow": "1 × timeout, attempt 1, 1 failures, output 0",
		"chatty": "1 × completed, attempt 1, 0 failures, output 1500", "stopped": "1 × cancelled, attempt 1, 0 failures, output 0",
		"again": "1 × failed, attempt 2, 1 failures, output 0", "held": "1 × running, attempt 1, 0 failures, output 0", "unfit": "1 × queued, attempt 0, 0 failures, output 0",
	},
}

func TestGoldenDatabases(t *testing.T) {
	found, err := filepath.Glob("testdata/v*.db")
	if err != nil || len(found) != len(goldenTasks) {
		t.Fatalf("%d databases in testdata, %d are described here (%v)", len(found), len(goldenTasks), err)
	}
	for name, tasks := range goldenTasks {
		t.Run(name, func(t *testing.T) {
			path := copyOf(t, filepath.Join("testdata", name))
			written := columnsOf(t, path)
			before := contents(t, path, written)
			db := mustOpen(t, path)
			checkGoldenTasks(t, db, tasks)
			checkGoldenRest(t, db)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			compareContents(t, "the first open", before, contents(t, path, written))
			whole := contents(t, path, columnsOf(t, path))
			if err := mustOpen(t, path).Close(); err != nil {
				t.Fatal(err)
			}
			compareContents(t, "a second open", whole, contents(t, path, columnsOf(t, path)))
		})
	}
}

// checkGoldenTasks reads the tasks and their outputs as the main node does.
func checkGoldenTasks(t *testing.T, db *DB, want map[string]string) {
	t.Helper()
	all, err := db.Tasks(ctx, Filter{}, 0, 1000, false)
	if err != nil {
		t.Fatal(err)
	}
	many, output, last := map[string]int{}, map[string]int64{}, map[string]task.Task{}
	for _, x := range all {
		attempts, err := db.Attempts(ctx, x.ID)
		if err != nil || len(attempts) != x.Attempt {
			t.Errorf("%s: %d attempts, want %d (%v)", x.Name, len(attempts), x.Attempt, err)
		}
		for _, a := range attempts {
			chunks, err := db.Output(ctx, x.ID, a.Number, 0, 1<<20)
			if n := len(chunks); err != nil || n > 0 && chunks[n-1].End() != a.Output {
				t.Errorf("%s: the output of attempt %d ends elsewhere (%v)", x.Name, a.Number, err)
			}
		}
		many[x.Name]++
		output[x.Name] += x.Output
		last[x.Name] = x
	}
	got := map[string]string{}
	for name, x := range last {
		got[name] = fmt.Sprintf("%d × %s, attempt %d, %d failures, output %d", many[name], x.State, x.Attempt, x.Failures, output[name])
	}
	if !maps.Equal(got, want) {
		t.Errorf("tasks:\n got %v\nwant %v", got, want)
	}
}

// checkGoldenRest reads everything else as the main node does; every golden database has the same devices, tokens and keys.
func checkGoldenRest(t *testing.T, db *DB) {
	t.Helper()
	open := map[string]string{}
	err := db.EachUntouched(ctx, func(n *NewTask) {
		x, err := db.Task(ctx, n.ID)
		if open[x.Name] = "untouched"; err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Error(err)
	}
	err = db.TouchedTasks(ctx, func(x task.Task, last *Attempt) {
		open[x.Name] = "no attempt"
		if last != nil {
			open[x.Name] = fmt.Sprintf("%s on %s, lease of %d characters", last.Outcome, last.Device, len(last.Lease))
		}
	})
	if want := map[string]string{"held": "running on laptop, lease of 26 characters", "unfit": "untouched"}; err != nil || !maps.Equal(open, want) {
		t.Errorf("open tasks: %v, want %v (%v)", open, want, err)
	}
	devices, err := db.Devices(ctx)
	if err != nil || len(devices) != 2 || devices[0].ID != "laptop" || !devices[0].Draining || devices[0].Completed != 7 || devices[1].ID != "pi" || devices[1].Profile.Slots != 2 {
		t.Errorf("devices: %+v (%v)", devices, err)
	}
	tokens, err := db.Tokens(ctx)
	var who []string
	for _, x := range tokens {
		who = append(who, x.Role+" "+x.Name)
	}
	slices.Sort(who)
	if want := []string{"admin commands on the main node's host", "admin second", "submit reader"}; err != nil || !slices.Equal(who, want) {
		t.Errorf("tokens: %q, want %q (%v)", who, want, err)
	}
	invites, err := db.Invites(ctx)
	if err != nil || len(invites) != 1 {
		t.Errorf("invitations: %+v (%v)", invites, err)
	}
	meta, err := db.Meta(ctx)
	if err != nil || meta["next_task"] != "20" || meta["incarnation"] == "" {
		t.Errorf("meta: %v (%v)", meta, err)
	}
	principal := tokens[slices.IndexFunc(tokens, func(x Token) bool { return strings.HasPrefix(x.Name, "commands") })].ID
	keys, err := db.Keys(ctx, principal, "golden", 0, 12)
	if err != nil || len(keys) != 1 || keys[0].Count != 12 || keys[0].First != 1 {
		t.Errorf("keys: %+v (%v)", keys, err)
	}
	if last, err := db.LastEvent(ctx); err != nil || last != 57 {
		t.Errorf("the last event is %d (%v)", last, err)
	}
	if _, completed, _, err := db.Counts(ctx, time.Time{}); err != nil || completed != 13 {
		t.Errorf("%d tasks were completed (%v)", completed, err)
	}
}

func copyOf(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "cluster.db")
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

// columnsOf are the columns of each table, as they are in a file now.
func columnsOf(t testing.TB, path string) map[string][]string {
	t.Helper()
	columns := map[string][]string{}
	readRows(t, path, "SELECT m.name, c.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type='table' ORDER BY m.name, c.cid", func(row []any) {
		table := fmt.Sprint(row[0])
		columns[table] = append(columns[table], fmt.Sprint(row[1]))
	})
	return columns
}

// contents are the rows of each table in these columns.
func contents(t testing.TB, path string, columns map[string][]string) map[string][]string {
	t.Helper()
	rows := map[string][]string{}
	for table, names := range columns {
		readRows(t, path, "SELECT "+strings.Join(names, ", ")+" FROM "+table, func(row []any) { rows[table] = append(rows[table], fmt.Sprintf("%v", row)) })
		slices.Sort(rows[table])
	}
	return rows
}

func compareContents(t testing.TB, after string, want, got map[string][]string) {
	t.Helper()
	for table, rows := range want {
		if !slices.Equal(rows, got[table]) {
			t.Errorf("%s changed the table %s:\n was %q\n is %q", after, table, rows, got[table])
		}
	}
}

// readRows reads past the package, by SQL alone, and writes nothing.
func readRows(t testing.TB, path, q string, yield func([]any)) {
	t.Helper()
	raw, err := sql.Open("sqlite3", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	rows, err := raw.Query(q)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	names, _ := rows.Columns()
	for rows.Next() {
		row, at := make([]any, len(names)), make([]any, len(names))
		for i := range row {
			at[i] = &row[i]
		}
		if err := rows.Scan(at...); err != nil {
			t.Fatal(err)
		}
		yield(row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}
