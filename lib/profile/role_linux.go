package profile

import (
	"context"
	"path/filepath"
	"strconv"
	"strings"
)

func (m *machine) role(context.Context) string {
	dmi, _ := strconv.Atoi(text(m.Sys, "class/dmi/id/chassis_type"))
	return body{
		android: m.android,
		chassis: text(m.Proc, "device-tree/chassis-type"),
		board:   m.board() != "",
		battery: powerOf(m.supplies()).percent != nil,
		dmi:     dmi,
		display: m.display(),
	}.role()
}

// body is what a machine's role is told from.
type body struct {
	android bool
	chassis string // in the device tree; most boards say nothing
	board   bool   // has a device tree
	battery bool
	dmi     int // the chassis' number in SMBIOS; 0: none
	display bool
}

// role: a laptop without its battery is still one by its chassis, a board with a battery still a board.
func (b body) role() string {
	switch {
	case b.android, b.chassis == "handset", b.chassis == "tablet", b.chassis == "watch":
		return "mobile"
	case b.chassis == "laptop", b.chassis == "convertible":
		return "laptop"
	case b.chassis == "desktop", b.chassis == "server":
		return b.chassis
	case b.board:
		return "board"
	case b.battery:
		return "laptop"
	}
	if r := chassisRole(b.dmi); r != "" {
		return r
	}
	if b.display {
		return "desktop"
	}
	return "server"
}

// chassisRole reads the numbers of SMBIOS 3.6, section 7.4.1. "Other" and "unknown" say nothing.
func chassisRole(dmi int) string {
	switch dmi {
	case 3, 4, 5, 6, 7, 13, 15, 16, 24, 35, 36:
		return "desktop"
	case 8, 9, 10, 14, 30, 31, 32:
		return "laptop"
	case 17, 23, 25, 28, 29:
		return "server"
	case 11:
		return "mobile"
	}
	return ""
}

// display says whether there is a connector for a screen, other than a virtual machine's.
func (m *machine) display() bool {
	paths, _ := filepath.Glob(filepath.Join(m.Sys, "class/drm/card*-*"))
	for _, p := range paths {
		if !strings.Contains(filepath.Base(p), "-Virtual-") {
			return true
		}
	}
	return false
}
