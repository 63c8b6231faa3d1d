package profile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParseTermuxBattery(t *testing.T) {
	for said, want := range map[string]string{
		`{"health":"GOOD","percentage":73,"plugged":"UNPLUGGED","status":"DISCHARGING","temperature":27.5,"current":-310000}`: "73 false 27.5",
		`{"percentage":100,"plugged":"PLUGGED_AC","status":"FULL","temperature":31.2}`:                                        "100 true 31.2",
		`{"percentage":40,"plugged":"PLUGGED_USB","status":"NOT_CHARGING","temperature":255}`:                                 "40 true nil",
		`{"percentage":5,"status":"DISCHARGING"}`:                                                                             "5 false nil",
		`{"percentage":50}`:   "50 nil nil",
		`{"percentage":-1}`:   "",
		`{"percentage":1e9}`:  "",
		`{"percentage":"50"}`: "",
		`{"temperature":30}`:  "",
		`{"percentage":50`:    "",
		``:                    "",
		`API error`:           "",
	} {
		p, ok := parseTermuxBattery(said)
		got := ""
		if ok {
			charging := "nil"
			if p.charging != nil {
				charging = map[bool]string{true: "true", false: "false"}[*p.charging]
			}
			got = strings.Join([]string{show(p.percent), charging, show(p.temperature)}, " ")
		}
		if got != want {
			t.Errorf("%s: %q, want %q", said, got, want)
		}
	}
}

// A program that hangs is ended and asked again, one at a time; nobody waits for it, and what it said last counts for a while.
func TestTermuxBattery(t *testing.T) {
	dir := t.TempDir()
	path, log := filepath.Join(dir, "termux-battery-status"), filepath.Join(dir, "log")
	script := func(body string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte("#!/bin/sh\necho start >>"+log+"\n"+body+"\necho end >>"+log+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	script(`echo '{"percentage":73,"plugged":"UNPLUGGED"}'`)
	b := newTermuxBattery(path)
	b.every, b.limit, b.fresh = 20*time.Millisecond, 200*time.Millisecond, 2*time.Second
	wait := func(what string, is func(power) bool) {
		t.Helper()
		for begin := time.Now(); ; time.Sleep(5 * time.Millisecond) {
			asked := time.Now()
			p := b.power()
			if took := time.Since(asked); took > 100*time.Millisecond {
				t.Fatalf("who asks waits for %s", took)
			}
			if is(p) {
				return
			}
			if time.Since(begin) > 10*time.Second {
				t.Fatalf("never %s: %+v", what, p)
			}
		}
	}
	wait("known", func(p power) bool { return p.percent != nil && *p.percent == 73 && !*p.charging })
	script("sleep 60 & sleep 60")
	wait("forgotten", func(p power) bool { return p.percent == nil })
	script(`echo '{"percentage":12,"plugged":"PLUGGED_AC"}'`)
	wait("known again", func(p power) bool { return p.percent != nil && *p.percent == 12 && *p.charging })
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	hung := strings.Count(string(text), "start\nstart\n")
	if hung < 2 || hung > 12 {
		t.Errorf("it was asked %d times while it hung", hung)
	}
	if newTermuxBattery("").power() != (power{}) {
		t.Error("without the program something is known")
	}
}
