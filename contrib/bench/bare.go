package main

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// bare starts true and waits for it so many times, some at a time, with nothing around it: what no cluster can do without. The sample is
// the milliseconds of each.
func bare(times, atATime int) (t ran, each sample, err error) {
	path, err := exec.LookPath("true")
	if err != nil {
		return t, nil, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return t, nil, err
	}
	defer null.Close()
	samples, errs := make([]sample, atATime), make([]error, atATime)
	cpuBefore, began := ownCPU(), time.Now()
	var group sync.WaitGroup
	for i := range atATime {
		group.Go(func() { samples[i], errs[i] = startAndWait(path, null.Fd(), times/atATime) })
	}
	group.Wait()
	t.wall, t.cpu = time.Since(began), ownCPU()-cpuBefore
	for i := range atATime {
		if errs[i] != nil {
			return t, nil, fmt.Errorf("run true: %w", errs[i])
		}
		each = append(each, samples[i]...)
	}
	return t, each, nil
}

func startAndWait(path string, null uintptr, times int) (each sample, err error) {
	attributes := &syscall.ProcAttr{Env: environment(), Files: []uintptr{null, null, null}}
	for range times {
		began := time.Now()
		pid, err := syscall.ForkExec(path, []string{"true", "1"}, attributes)
		if err != nil {
			return nil, err
		}
		var status syscall.WaitStatus
		for err = syscall.EINTR; err == syscall.EINTR; {
			_, err = syscall.Wait4(pid, &status, 0, nil)
		}
		if err != nil {
			return nil, fmt.Errorf("wait for process %d: %w", pid, err)
		}
		if status != 0 {
			return nil, fmt.Errorf("process %d ended with %#x", pid, int(status))
		}
		each = append(each, milliseconds(time.Since(began)))
	}
	return each, nil
}

// ownCPU is the CPU time of this program and of the processes that it has waited for.
func ownCPU() (all time.Duration) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			all += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return all
}
