package text

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rsc.io/qr"

	"github.com/retire-cluster/retire-cluster/lib/device"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

func TestFactsAreSafe(t *testing.T) {
	d := device.Device{ID: "pixel", Reason: "a\nb", Profile: device.Profile{Tags: []string{"x\x1b[31m"}}}
	got := DeviceFacts(&d, Style{})
	for _, want := range []Fact{{"id", "pixel"}, {"reason", "a␊b"}, {"tags", "x␛[31m"}} {
		if !slices.Contains(got, want) {
			t.Errorf("%v is not among %v", want, got)
		}
	}
	job := task.Task{ID: 1, Spec: task.Spec{Type: task.TypeEcho, Name: "\u202egnp.exe"}, State: task.Queued}
	if got := TaskFacts(&job, Style{}); !slices.Contains(got, Fact{"name", "<U+202E>gnp.exe"}) {
		t.Error(got)
	}
}

func TestPlainWriter(t *testing.T) {
	var b bytes.Buffer
	w := NewPlainWriter(&b)
	for _, piece := range []string{"a\x1b[3", "1mred\x1b[0m\r\n", "\x1b]0;title\a\tend"} {
		if _, err := w.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil || b.String() != "ared␍\n␛]0;title␇\tend" {
		t.Errorf("%q, %v", b.String(), err)
	}
}

// TestQRPath draws the path and compares it with the modules.
func TestQRPath(t *testing.T) {
	const text = "rcj1_something_to_join_with"
	path, size, err := QRPath(text)
	if err != nil {
		t.Fatal(err)
	}
	code, err := qr.Encode(text, qr.L)
	if err != nil || size != code.Size+8 {
		t.Fatal(size, err)
	}
	dark := 0
	for piece := range strings.SplitSeq(strings.TrimSuffix(path, "z"), "z") {
		numbers := strings.FieldsFunc(piece, func(r rune) bool { return r < '0' || r > '9' })
		if len(numbers) != 5 {
			t.Fatalf("%q", piece)
		}
		x, y, n := atoi(t, numbers[0]), atoi(t, numbers[1]), atoi(t, numbers[2])
		for i := range n {
			if dark++; !code.Black(x-4+i, y-4) {
				t.Errorf("%d, %d is not dark", x+i, y)
			}
		}
	}
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				dark--
			}
		}
	}
	if dark != 0 {
		t.Errorf("%d modules too many", dark)
	}
	if _, _, err := QRPath(strings.Repeat("x", 5000)); err == nil {
		t.Error("more fits into a QR code than there can")
	}
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
