package executor

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzNewestLine checks that what an attempt says of itself is one short line of text, and one that it wrote.
func FuzzNewestLine(f *testing.F) {
	for _, s := range []string{"1%\n2%\n", "\r\r50%\r", "\n\n  \n", strings.Repeat("é", 150), "\xff\xfe", "a\x00b\x1b[2J"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		line := newestLine(b)
		if len(line) > mostProgress || !utf8.ValidString(line) || strings.ContainsAny(line, "\r\n") {
			t.Fatalf("%q: %q", b, line)
		}
		if utf8.Valid(b) && !strings.Contains(string(b), line) {
			t.Fatalf("%q does not say %q", b, line)
		}
		if line == "" && strings.TrimSpace(strings.ToValidUTF8(string(b), "?")) != "" {
			t.Fatalf("%q says nothing", b)
		}
	})
}

// FuzzLaunch sends launches to a helper, one after another into the same room, and reads them there as they were.
func FuzzLaunch(f *testing.F) {
	f.Add("/bin/sh", "/tmp", "-c\x00echo", "A=b\x00", uint32(1), int64(5), 0.5, 7)
	f.Add("", "", "", "", uint32(1<<32-1), int64(math.MinInt64), math.Inf(1), -1)
	f.Fuzz(func(t *testing.T, path, dir, argv, env string, attempt uint32, span int64, cpus float64, processes int) {
		l := launch{path: path, dir: dir, argv: strings.Split(argv, "\x00"), env: strings.Split(env, "\x00"), until: time.Duration(span), untilGrace: time.Duration(span / 2),
			beginBy: time.Duration(^span), keeps: span&1 != 0, limits: Limits{Memory: span, Disk: ^span, CPUs: cpus, Processes: max(0, min(processes, math.MaxInt32))}}
		if attempt&1 != 0 {
			l.stdin = os.Stdin
		}
		var got launched
		got.argv, got.env = []string{"old", "of", "the last"}, []string{"OLD=1"}
		b := launchMessage([]byte("room of the last one"), attempt, attempt+1, &l)
		if len(b) != 4+int(binary.LittleEndian.Uint32(b)) || messageKind(b[4]) != sayLaunch {
			t.Fatalf("%q", b)
		}
		r := reader(b[5:])
		r.launch(&got)
		same := got.path == path && got.dir == dir && slices.Equal(got.argv, l.argv) && slices.Equal(got.env, l.env) && got.until == l.until && got.untilGrace == l.untilGrace &&
			got.beginBy == l.beginBy && got.keeps == l.keeps && got.reads == (l.stdin != nil) && got.attempt == attempt && got.line == attempt+1
		bits := math.Float64bits(got.limits.CPUs) == math.Float64bits(cpus)
		got.limits.CPUs, l.limits.CPUs = 0, 0
		if !same || !bits || got.limits != l.limits || len(r) != 0 {
			t.Fatalf("%+v came as %+v, with %d bytes behind it", l, got, len(r))
		}
	})
}

// FuzzVerdict does the same with verdicts.
func FuzzVerdict(f *testing.F) {
	f.Add(uint32(1), uint32(0x300), uint32(2), int64(5), []byte("out"), []byte("errors"), byte(0))
	f.Add(uint32(9), uint32(9), uint32(0), int64(0), []byte{}, []byte(nil), byte(0xff))
	f.Fuzz(func(t *testing.T, attempt, status, left uint32, span int64, out, errs []byte, flags byte) {
		v := verdict{attempt: attempt, status: status, left: left & 0xffff, wall: time.Duration(span), stdout: out, stderr: errs, shown: flags&1 != 0, dirty: flags&2 != 0, fenced: flags&4 != 0}
		b := verdictMessage(nil, &v)
		r := reader(b[4:])
		gotAttempt, shown, e := r.verdict()
		if gotAttempt != attempt || shown != v.shown || len(r) != 0 || len(b) != 4+int(binary.LittleEndian.Uint32(b)) {
			t.Fatalf("%+v came as one of attempt %d, %v, with %d bytes behind it", v, gotAttempt, shown, len(r))
		}
		if v.fenced && v.wall == 0 {
			return // it was not begun, and nothing else counts
		}
		if !bytes.Equal([]byte(e.stdout), out) || !bytes.Equal([]byte(e.stderr), errs) || e.wall != v.wall || e.dirty != v.dirty || e.left != int(v.left) {
			t.Fatalf("%+v came as %+v", v, e)
		}
	})
}
