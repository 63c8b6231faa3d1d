package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/visible"
)

func none(string) (string, bool) { return "", false }

func TestMask(t *testing.T) {
	for in, want := range map[string]string{
		"rcj1_AB_cd":        "rcj1_…",
		"a rct1_x, rcw1_y.": "a rct1_…, rcw1_….",
		"\nrcj1_x":          "\nrcj1_…",
		"rc1_x rcj2_x rcj1": "rc1_x rcj2_x rcj1",
	} {
		if got := cli.Mask(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestLogMasks(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var b bytes.Buffer
		l := cli.Logging{LogFormat: format}
		log, err := l.Logger(cli.Std{Err: &b}, none)
		if err != nil {
			t.Fatal(err)
		}
		log.With("rck1_SECRET", 1).WithGroup("g").Info("got\nrcj1_SECRET", "err", errors.New("bad rct1_SECRET"), "list", []string{"rct1_SECRET"})
		if s := b.String(); strings.Contains(s, "SECRET") || strings.Count(s, "1_…") != 4 {
			t.Errorf("%s: %s", format, s)
		}
		if format == "json" && !json.Valid(b.Bytes()) {
			t.Errorf("not JSON: %s", b.String())
		}
	}
}

// TestLogLinesAreData logs what acts on a terminal; whoever looks at the log gets one line, in which it is written out.
func TestLogLinesAreData(t *testing.T) {
	const hostile = "x\x1b[2J\u009b2J\x7f\u202e\u200b\U000e0041\r\nlevel=INFO msg=forged \xff"
	for _, format := range []string{"text", "json"} {
		var b bytes.Buffer
		l := cli.Logging{LogFormat: format}
		log, err := l.Logger(cli.Std{Err: &b}, none)
		if err != nil {
			t.Fatal(err)
		}
		log.Info(hostile, "device", hostile, hostile, 1, "err", errors.New(hostile))
		line, ended := strings.CutSuffix(b.String(), "\n")
		if !ended || strings.ContainsFunc(line, visible.Hidden) || !utf8.ValidString(line) {
			t.Errorf("%s: %q", format, line)
		}
		var back struct{ Device string }
		if format == "json" && (json.Unmarshal(b.Bytes(), &back) != nil || back.Device != strings.ToValidUTF8(hostile, "\ufffd")) {
			t.Errorf("read back as %q", back.Device)
		}
	}
}

func TestLogLevel(t *testing.T) {
	var b bytes.Buffer
	l := cli.Logging{}
	log, err := l.Logger(cli.Std{Err: &b}, none)
	if err != nil {
		t.Fatal(err)
	}
	derived := log.With("k", "v")
	derived.Debug("no")
	log.SetLevel(slog.LevelDebug)
	derived.Debug("yes")
	if s := b.String(); strings.Contains(s, "no") || !strings.Contains(s, "msg=yes k=v") {
		t.Errorf("got %s", s)
	}
}

func TestLogUnderJournal(t *testing.T) {
	var b bytes.Buffer
	l := cli.Logging{}
	log, err := l.Logger(cli.Std{Err: &b}, func(name string) (string, bool) { return "8:1", name == "JOURNAL_STREAM" })
	if err != nil {
		t.Fatal(err)
	}
	log.Info("hello", "time", "mine")
	if got := b.String(); got != "level=INFO msg=hello time=mine\n" && got != "level=INFO msg=hello\n" {
		t.Errorf("got %q", got)
	}
}

func TestLogFileRotates(t *testing.T) {
	dir := t.TempDir()
	l := cli.Logging{LogFile: filepath.Join(dir, "w.log"), LogMaxSize: 1 << 20, LogKeep: 2}
	log, err := l.Logger(cli.Std{Err: os.Stderr}, none)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		log.Info(strings.Repeat("x", 400<<10))
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "w*.log"))
	if err != nil || len(files) != 3 {
		t.Errorf("files %v, %v; want the current one and two old ones", files, err)
	}
}

func TestLogFileRefused(t *testing.T) {
	w := &worker{}
	status, _, errs := call(w, nil, "--log-file", filepath.Join(t.TempDir(), "absent", "w.log"))
	if status != cli.BadConfig || !strings.Contains(errs, "open log file: ") {
		t.Errorf("status %d, stderr %q", status, errs)
	}
}
