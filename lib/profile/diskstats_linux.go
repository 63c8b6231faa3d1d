package profile

import (
	"context"
	"strconv"
	"strings"
)

// diskBytes returns what was read from and written to the disks since boot.
func (m *machine) diskBytes(context.Context) (read, written int64, ok bool) {
	disks := make(map[string]bool)
	for _, name := range list(m.Sys, "block") {
		disks[name] = !layered(name)
	}
	return parseDiskstats(text(m.Proc, "diskstats"), disks)
}

// layered says whether a block device stands on another one, or on memory: its bytes would count twice, or not
// at all.
func layered(name string) bool {
	for _, p := range []string{"loop", "ram", "zram", "dm-", "md", "sr", "fd", "drbd", "bcache"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// mostSectors is more than any disk has moved; what is not less is nonsense, or would not fit into a sum.
const mostSectors = 1 << 45

// parseDiskstats adds up the lines of the disks; others are partitions. A sector here is always 512 bytes.
func parseDiskstats(s string, disks map[string]bool) (read, written int64, ok bool) {
	for line := range strings.Lines(s) {
		f := strings.Fields(line)
		if len(f) < 10 || !disks[f[2]] {
			continue
		}
		r, err1 := strconv.ParseInt(f[5], 10, 64)
		w, err2 := strconv.ParseInt(f[9], 10, 64)
		if err1 == nil && err2 == nil && r >= 0 && w >= 0 && max(r, w) < mostSectors {
			read, written, ok = read+r*512, written+w*512, true
		}
	}
	return read, written, ok
}
