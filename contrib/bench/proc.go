package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU times in /proc/PID/stat, which the kernel's interface fixes.
const tick = 10 * time.Millisecond

// stat is what /proc/PID/stat says of a process.
type stat struct {
	parent int
	cpu    time.Duration // of it, and of its children that it has waited for
}

func readStat(pid int) (s stat, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return s, err
	}
	_, after, _ := strings.Cut(string(b), ") ") // its name stands in parentheses and may have spaces
	fields := strings.Fields(after)
	if len(fields) < 15 {
		return s, fmt.Errorf("read /proc/%d/stat: %d fields", pid, len(fields))
	}
	s.parent, _ = strconv.Atoi(fields[1])
	for _, f := range fields[11:15] { // utime, stime, cutime, cstime
		n, _ := strconv.ParseInt(f, 10, 64)
		s.cpu += time.Duration(n) * tick
	}
	return s, nil
}

// cpuOfTrees is the CPU time that processes and all below them have used, those included that have ended and were waited for.
func cpuOfTrees(roots ...int) (all time.Duration, err error) {
	below := map[int][]int{}
	stats := map[int]stat{}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if s, err := readStat(pid); err == nil { // it may have ended by now
			stats[pid] = s
			below[s.parent] = append(below[s.parent], pid)
		}
	}
	for open := roots; len(open) > 0; {
		pid := open[0]
		s, ok := stats[pid]
		if !ok {
			return 0, fmt.Errorf("read the CPU time of process %d: it is not there", pid)
		}
		all += s.cpu
		open = append(open[1:len(open):len(open)], below[pid]...)
	}
	return all, nil
}

// cpuOf is the CPU time of one process alone, to the nanosecond.
func cpuOf(pid int) (all time.Duration, err error) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that has just ended
		}
		first, _, _ := strings.Cut(string(b), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", file, err)
		}
		all += time.Duration(n)
	}
	if all == 0 {
		return 0, &notHere{"the kernel does not say in /proc/PID/schedstat how much CPU a process uses"}
	}
	return all, nil
}

// Lines of /proc/PID/status.
const (
	resident     = "VmRSS"
	mostResident = "VmHWM" // since it started
)

const mebibyte, kibibyte = 1 << 20, 1 << 10

// memory is how many bytes of memory a process holds.
func memory(pid int, which string) (int64, error) {
	kib, err := field(fmt.Sprintf("/proc/%d/status", pid), which)
	return kib * kibibyte, err
}

// writes is how many bytes a process has caused to be written to a disk.
func writes(pid int) (int64, error) { return field(fmt.Sprintf("/proc/%d/io", pid), "write_bytes") }

// field reads the number behind a name and a colon.
func field(file, name string) (int64, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strconv.ParseInt(strings.Fields(value)[0], 10, 64)
		}
	}
	return 0, fmt.Errorf("read %s: no %s", file, name)
}
