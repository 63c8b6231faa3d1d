package depot

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func open(t *testing.T) *Depot {
	t.Helper()
	d, err := Open(filepath.Join(t.TempDir(), "files"), true)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func sumOf(t *testing.T, text string) string {
	t.Helper()
	s, err := Sum(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A file goes on where it stopped, over a restart too, and is there when all of it is.
func TestReceive(t *testing.T) {
	d := open(t)
	text := strings.Repeat("work ", 1000)
	sum := sumOf(t, text)
	for at := 0; at < len(text); {
		in, err := d.Receive(sum, int64(len(text)))
		if err != nil {
			t.Fatal(err)
		}
		if in.Offset() != int64(at) {
			t.Fatalf("it goes on at %d, not %d", in.Offset(), at)
		}
		if _, err := d.Receive(sum, int64(len(text))); !errors.Is(err, ErrBusy) {
			t.Errorf("another receives it at the same time: %v", err)
		}
		if _, err := d.Size(sum); !errors.Is(err, ErrNotHere) {
			t.Errorf("a part of it is there: %v", err)
		}
		n, err := in.Write([]byte(text[at:min(at+1700, len(text))]))
		if err != nil {
			t.Fatal(err)
		}
		if at += n; at == len(text) {
			err = in.Commit()
		} else if e := in.Commit(); e == nil {
			t.Error("a part of it is taken for all")
		}
		if err != nil {
			t.Fatal(err)
		}
		if d, err = Open(d.dir, true); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Receive(sum, int64(len(text))); !errors.Is(err, fs.ErrExist) {
		t.Errorf("it is received again: %v", err)
	}
	f, size, err := d.Get(sum)
	if err != nil || size != int64(len(text)) {
		t.Fatal(size, err)
	}
	defer f.Close()
	if got, err := os.ReadFile(f.Name()); err != nil || string(got) != text {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// What is not what it was to be is not kept, and can be received anew.
func TestOther(t *testing.T) {
	d := open(t)
	sum := sumOf(t, "right")
	for _, text := range []string{"wrong", "right"} {
		in, err := d.Receive(sum, 5)
		if err != nil || in.Offset() != 0 {
			t.Fatal(in, err)
		}
		if _, err := in.Write([]byte(text + "x")); err == nil {
			t.Error("more is taken than was to come")
		}
		if _, err := in.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := in.Commit(); (err == nil) != (text == "right") || err != nil && !errors.Is(err, ErrOther) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := d.Size(sum); err != nil {
		t.Error(err)
	}
}

// Names that are no sums lead nowhere.
func TestNames(t *testing.T) {
	d := open(t)
	for _, name := range []string{"", "x", "../" + sumOf(t, "x")[3:], strings.ToUpper(sumOf(t, "x")), sumOf(t, "x") + "0", strings.Repeat("/", 64)} {
		if _, err := d.Receive(name, 1); !errors.Is(err, errBadSum) {
			t.Errorf("receive %q: %v", name, err)
		}
		if _, _, err := d.Get(name); !errors.Is(err, errBadSum) {
			t.Errorf("get %q: %v", name, err)
		}
	}
}

// The least used go first, and none that is held.
func TestTrim(t *testing.T) {
	d := open(t)
	var sums []string
	for i, text := range []string{"aaaa", "bbbb", "cccc", "dddd"} {
		sum, size, release, err := d.Add(strings.NewReader(text))
		if err != nil || size != 4 || sum != sumOf(t, text) {
			t.Fatal(sum, size, err)
		}
		release()
		sums = append(sums, sum)
		at := time.Now().Add(time.Duration(i-10) * time.Hour)
		if err := os.Chtimes(d.path(sum), at, at); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Size(sums[1]); err != nil { // a use
		t.Fatal(err)
	}
	if _, _, _, err := d.Add(strings.NewReader("aaaa")); err != nil { // and holds it
		t.Fatal(err)
	}
	at := time.Now().Add(-20 * time.Hour)
	os.Chtimes(d.path(sums[0]), at, at)
	release := d.Hold(sums[0])
	release()
	there := func() (all string) {
		for i, sum := range sums {
			if _, err := os.Stat(d.path(sum)); err == nil {
				all += string(rune('a' + i))
			}
		}
		return all
	}
	for _, c := range []struct {
		most int64
		want string
	}{{16, "abcd"}, {12, "abd"}, {11, "ab"}, {0, "a"}} {
		if err := d.Trim(c.most); err != nil || there() != c.want {
			t.Errorf("%d bytes: %s, %v; want %s", c.most, there(), err, c.want)
		}
	}
}

// Files that nobody wants go when they were not used for a while.
func TestSweep(t *testing.T) {
	d := open(t)
	old := time.Now().Add(-48 * time.Hour)
	sums := map[string]string{}
	for _, text := range []string{"wanted", "unwanted", "new"} {
		sum, _, release, err := d.Add(bytes.NewBufferString(text))
		if err != nil {
			t.Fatal(err)
		}
		release()
		sums[text] = sum
		if text != "new" {
			os.Chtimes(d.path(sum), old, old)
		}
	}
	err := d.Sweep(24*time.Hour, func(sum string) (bool, error) { return sum == sums["wanted"], nil })
	if err != nil {
		t.Fatal(err)
	}
	for text, sum := range sums {
		if _, err := os.Stat(d.path(sum)); (err == nil) != (text != "unwanted") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// slowReader brings what it has when it is let go.
type slowReader struct {
	text *strings.Reader
	wait func()
}

func (s *slowReader) Read(b []byte) (int, error) {
	s.wait()
	return s.text.Read(b)
}

// What is being added is not removed to make room for others, and what is kept is counted.
func TestAddWhileTrimmed(t *testing.T) {
	d := open(t)
	from := &slowReader{strings.NewReader("result"), func() {
		if err := d.Trim(0); err != nil {
			t.Error(err)
		}
	}}
	sum, size, release, err := d.Add(from)
	if err != nil || sum != sumOf(t, "result") || size != 6 || d.Bytes() != 6 {
		t.Fatal(sum, size, d.Bytes(), err)
	}
	if _, _, again, err := d.Add(strings.NewReader("result")); err != nil || d.Bytes() != 6 {
		t.Error(d.Bytes(), err)
	} else {
		again()
	}
	release()
	if d.Trim(0); d.Bytes() != 0 {
		t.Errorf("%d bytes are counted of nothing", d.Bytes())
	}
}

// A part that was damaged is begun anew; a file that was damaged while nobody looked is received again, where power cuts can do that.
func TestDamaged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "files")
	d, err := Open(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	sum := sumOf(t, "0123456789")
	receive := func(want int64) error {
		t.Helper()
		in, err := d.Receive(sum, 10)
		if err != nil {
			return err
		}
		defer in.Close()
		if in.Offset() != want {
			t.Errorf("it goes on at %d, not %d", in.Offset(), want)
		}
		if _, err := in.Write([]byte("0123456789")[in.Offset():]); err != nil {
			return err
		}
		return in.Commit()
	}
	if err := os.WriteFile(d.path(sum)+partSuffix, []byte("01x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := receive(3); !errors.Is(err, ErrOther) {
		t.Fatal(err)
	}
	if err := receive(0); err != nil {
		t.Fatal(err)
	}
	if err := receive(0); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	if err := os.WriteFile(d.path(sum), make([]byte, 10), 0o600); err != nil {
		t.Fatal(err)
	}
	if d, err = Open(dir, false); err != nil { // another life
		t.Fatal(err)
	}
	if err := receive(0); err != nil {
		t.Errorf("a damaged file is taken for whole: %v", err)
	}
	if d.Bytes() != 10 {
		t.Errorf("%d bytes are counted", d.Bytes())
	}
}
