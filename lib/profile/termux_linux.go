package profile

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"time"
)

// termuxBattery asks the app Termux:API for the battery, where Android hides it. That takes long, hangs now and then, and wakes the phone: one question at
// a time, no more than one a minute, and what was answered last is what is known meanwhile.
type termuxBattery struct {
	path  string
	every time.Duration // between two questions
	limit time.Duration // for an answer
	fresh time.Duration // for which an answer counts

	mu     sync.Mutex
	asking bool
	asked  time.Time
	answer power
	since  time.Time // of the answer
}

func newTermuxBattery(path string) *termuxBattery {
	return &termuxBattery{path: path, every: time.Minute, limit: 10 * time.Second, fresh: 10 * time.Minute}
}

// power is what is known by now. It never waits.
func (b *termuxBattery) power() power {
	if b == nil || b.path == "" {
		return power{}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if !b.asking && now.Sub(b.asked) >= b.every {
		b.asking, b.asked = true, now
		go b.ask()
	}
	if now.Sub(b.since) > b.fresh {
		return power{}
	}
	return b.answer
}

func (b *termuxBattery) ask() {
	said := outputWithin(context.Background(), b.limit, b.path)
	p, ok := parseTermuxBattery(said)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asking = false
	if ok {
		b.answer, b.since = p, time.Now()
	}
}

// parseTermuxBattery reads what termux-battery-status prints. What makes no sense is not known.
func parseTermuxBattery(said string) (p power, ok bool) {
	var s struct {
		Percentage  *float64 `json:"percentage"`
		Plugged     string   `json:"plugged"` // UNPLUGGED, PLUGGED_AC, PLUGGED_USB, PLUGGED_WIRELESS
		Status      string   `json:"status"`  // CHARGING, DISCHARGING, FULL, NOT_CHARGING, UNKNOWN
		Temperature *float64 `json:"temperature"`
	}
	if json.Unmarshal([]byte(said), &s) != nil || s.Percentage == nil || *s.Percentage < 0 || *s.Percentage > 100 {
		return power{}, false
	}
	p.percent = s.Percentage
	switch {
	case s.Plugged == "UNPLUGGED", s.Plugged == "" && s.Status == "DISCHARGING":
		p.charging = new(false)
	case s.Plugged != "", s.Status == "CHARGING", s.Status == "FULL":
		p.charging = new(true)
	}
	if s.Temperature != nil {
		p.temperature = plausible(strconv.FormatFloat(*s.Temperature, 'f', -1, 64), 1)
	}
	return p, true
}
