package simulation

import (
	"testing"
	"time"
	"unsafe"
)

// stamp makes a time such as time.Now gives: what the wall clock shows, and beside it a reading of a clock that nobody sets. Package time has no
// way to choose both, so the words of a Time are written as its source describes them; TestStamp holds that against package time.
func stamp(wall time.Time, reading time.Duration) time.Time {
	const hasReading = 1 << 63
	words := struct {
		wall uint64
		ext  int64
		loc  *time.Location
	}{hasReading | uint64(wall.Unix()-year1885)<<30 | uint64(wall.Nanosecond()), int64(reading) + 1, nil}
	return *(*time.Time)(unsafe.Pointer(&words))
}

var year1885 = time.Date(1885, 1, 1, 0, 0, 0, 0, time.UTC).Unix()

func TestStamp(t *testing.T) {
	now := time.Now()
	if unsafe.Sizeof(now) != 24 {
		t.Fatal("a time.Time is not what it was")
	}
	a, b := stamp(epoch, time.Hour), stamp(epoch.AddDate(-10, 0, 0), time.Hour+time.Second)
	if !a.Round(0).Equal(epoch) || !b.Round(0).Equal(epoch.AddDate(-10, 0, 0)) || a.UTC().String()[:19] != epoch.String()[:19] {
		t.Errorf("the wall clocks show %s and %s", a, b)
	}
	if b.Sub(a) != time.Second || !b.After(a) || b.Add(time.Minute).Sub(a) != 61*time.Second {
		t.Errorf("%s passed between them", b.Sub(a))
	}
}
