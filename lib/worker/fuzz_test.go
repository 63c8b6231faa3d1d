package worker

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// FuzzSpool opens logs that hold a result, other bytes, and another result. Both results are there, whatever is between them, as long as that ends its last line;
// none is there that was not written; and what was kept is kept when the log is opened again.
func FuzzSpool(f *testing.F) {
	f.Add([]byte("00000000{}\n"), []byte("output"), false)
	f.Add([]byte("\n\n\x00\xff\n"), []byte("\x00\xff\n"), true)
	f.Add([]byte("cut in the middle"), []byte{}, true)
	f.Add(bytes.Repeat([]byte("x"), 700), bytes.Repeat([]byte("y"), 700), false)
	path := filepath.Join(f.TempDir(), "results.log")
	f.Fuzz(func(t *testing.T, between, printed []byte, synced bool) {
		first := Spooled{Lease: lease(1), Result: task.Result{Status: task.AttemptCompleted}, Synced: synced}
		second := Spooled{Lease: lease(2), Result: task.Result{Status: task.AttemptFailed, Reason: "exit status 3"}}
		if len(printed) > 0 {
			second.Chunks = []task.Chunk{{Stream: task.Stderr, After: 5 * time.Millisecond, Data: printed}}
		}
		a, err := newRecord(first).line()
		if err != nil {
			t.Fatal(err)
		}
		b, err := newRecord(second).line()
		if err != nil {
			t.Fatal(err)
		}
		whole := append(append(bytes.Clone(a), between...), '\n')
		if err := os.WriteFile(path, append(whole, b...), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			s, kept, err := openSpool(path)
			if err != nil {
				t.Fatal(err)
			}
			s.close()
			if !reflect.DeepEqual(kept, []Spooled{first, second}) {
				t.Fatalf("%q between: %+v", between, kept)
			}
		}
		if got, ok := parseRecord(append(bytes.Clone(between), '\n')); ok {
			again, err := got.line()
			if back, ok := parseRecord(again); err != nil || !ok || !reflect.DeepEqual(back, got) {
				t.Fatalf("%q is %+v, and written again %+v (%v)", between, got, back, err)
			}
		}
	})
}

// FuzzMembership opens a data directory with any text as its membership: it is refused, or read as it is kept.
func FuzzMembership(f *testing.F) {
	for _, s := range []string{`{"device_id":"pi","fingerprint":"x","addresses":["a:1"],"boot_count":3}`, `{}`, `null`, `[]`, `{"boot_count":1e3}`, `{"device_id":"\ud800"}`, ``, `{"addresses":null} x`} {
		f.Add([]byte(s))
	}
	dir := f.TempDir()
	first, err := openHome(dir)
	if err != nil {
		f.Fatal(err)
	}
	first.lock.Close()
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, fileMembership), b, 0o600); err != nil {
			t.Fatal(err)
		}
		h, err := openHome(dir)
		if err != nil {
			if json.Unmarshal(b, new(membership)) == nil {
				t.Fatal(err)
			}
			return
		}
		err = h.save()
		h.lock.Close()
		if err != nil {
			t.Fatal(err)
		}
		again, err := openHome(dir)
		if err != nil {
			t.Fatal(err)
		}
		again.lock.Close()
		if !reflect.DeepEqual(again.member, h.member) || again.identity.Fingerprint() != first.identity.Fingerprint() {
			t.Fatalf("%q is %+v, and kept as %+v", b, h.member, again.member)
		}
	})
}

// FuzzHours checks that hours of the day are read as they are written, and that each minute is in them or not in those from their end to their beginning.
func FuzzHours(f *testing.F) {
	for _, s := range []string{"22:00-07:30", "0:00-23:59", " 7:05 - 9:00 ", "24:00-1:00", "1:00-1:00", "-", "", "1:2-3:4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var h, back Hours
		if h.UnmarshalText([]byte(s)) != nil || h == (Hours{}) {
			return
		}
		if err := back.UnmarshalText([]byte(h.String())); err != nil || back != h {
			t.Fatalf("%q is %s, which is %s (%v)", s, h, back, err)
		}
		for minute := range 24 * 60 {
			at := time.Date(2026, 1, 15, minute/60, minute%60, 0, 0, time.UTC)
			if h.include(at) == (Hours{h.To, h.From}).include(at) {
				t.Fatalf("%s and its contrary at %s", h, at)
			}
		}
	})
}
