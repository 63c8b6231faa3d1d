package wire

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/retire-cluster/retire-cluster/lib/cluster"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// all are the bodies that read themselves, empty.
func quicks() []quick { return []quick{new(Judged), new(Result), new(Assign), new(Submit), new(Event)} }

// FuzzQuick looks whether a body that reads itself reads what encoding/json would.
func FuzzQuick(f *testing.F) {
	for _, m := range messages() {
		b, err := json.Marshal(m.Body)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	exit := 3
	for _, v := range []any{Event{Event: cluster.Event{Seq: 7, Kind: cluster.TaskEnded, Task: 9, State: task.Failed, ExitCode: &exit, Reason: "a \"quoted\" reason\n"},
		Pieces: []Piece{{Stream: task.Stderr, Position: 3, Text: "line\n"}}},
		Submit{Key: "k", KeyIndex: 4, Job: 5, Tasks: []task.Spec{{Type: "echo", Payload: []byte(`{"message":"é\\u0000"}`), Priority: task.High, Timeout: 1.5,
			Requirements: task.Requirements{CPUCores: 2, Tags: []string{"usb"}}}, {Type: "x", Payload: []byte("{}"), Retries: 2}}}} {
		b, err := json.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"tasks":[{"task_type":"a"}],"tasks":[{"name":"b"}],"TASKS":[]}`))
	f.Add([]byte(`{"seq":1,"result":[],"result":[{"stream":"stdout"}],"exit_code":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if !json.Valid(data) || !utf8.Valid(data) || !strings.HasPrefix(string(data), "{") {
			return // split has looked at that
		}
		for _, q := range quicks() {
			slow := reflect.New(reflect.TypeOf(q).Elem()).Interface()
			if !q.quick(cursor(data)) {
				if !reflect.ValueOf(q).Elem().IsZero() {
					t.Fatalf("%T was left half read", q)
				}
				continue
			}
			if err := json.Unmarshal(data, slow); err != nil {
				t.Fatalf("%T was read, and encoding/json says: %v", q, err)
			}
			if !reflect.DeepEqual(slow, q) {
				t.Fatalf("%T\n quick %+v\n slow  %+v", q, q, slow)
			}
		}
	})
}

// What this package writes is read the quick way.
func TestQuickReadsOwnMessages(t *testing.T) {
	read := map[string]quick{"assign": new(Assign), "result": new(Result), "judged": new(Judged)}
	for name, m := range messages() {
		b, err := json.Marshal(m.Body)
		if err != nil || !read[name].quick(cursor(b)) {
			t.Errorf("%s: %s (%v)", name, b, err)
		}
	}
}
