package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// What a task was trusted with is in no byte of the database when the task is over, nor in a copy of it: also where it filled pages of its own.
func TestSecretsAreWrittenOver(t *testing.T) {
	const mark = "marked-4fba7c"
	for name, value := range map[string]string{"small": mark, "large": strings.Repeat(mark, 2000)} {
		t.Run(name, func(t *testing.T) {
			path, copied := filepath.Join(t.TempDir(), "cluster.db"), filepath.Join(t.TempDir(), "copy.db")
			db := mustOpen(t, path)
			secrets := task.Secrets{"API_KEY": value}
			s := spec(`{}`)
			s.Secrets = secrets.Hidden()
			b := db.NewBatch()
			b.Submit(NewTask{ID: 1, Job: 1, Spec: s, Secrets: secrets, Submitted: now})
			commit(t, b)
			if got, err := db.Secrets(ctx, 1); err != nil || got["API_KEY"] != value {
				t.Fatalf("while it waits: %d bytes, %v", len(got["API_KEY"]), err)
			}
			if !holds(t, path+"*", mark) {
				t.Fatal("the mark is not found where it is")
			}
			if err := db.Close(); err != nil { // so that it is in the pages, not in the log alone
				t.Fatal(err)
			}
			db = mustOpen(t, path)
			b = db.NewBatch()
			b.Task(Task{ID: 1, State: task.Completed, Finished: now})
			commit(t, b)
			if _, err := db.Secrets(ctx, 1); !errors.Is(err, ErrNoSecrets) {
				t.Errorf("when it is over: %v", err)
			}
			if _, err := db.Backup(ctx, copied); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if holds(t, copied, mark) || holds(t, path+"*", mark) {
				t.Error("it is still in the bytes of the database, or of a backup")
			}
		})
	}
}

// holds says whether a text stands in any of the files.
func holds(t *testing.T, pattern, text string) bool {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %q, %v", pattern, files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(text)) {
			return true
		}
	}
	return false
}
