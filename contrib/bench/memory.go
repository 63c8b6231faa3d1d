package main

import "time"

// inMiB is a process's memory as a figure.
func inMiB(pid int, which string) (Figure, error) {
	bytes, err := memory(pid, which)
	return once(float64(bytes) / mebibyte), err
}

// rowMemory looks at the main node before and after a day's work of a small cluster.
func rowMemory(r *run) error {
	m, err := r.mainNode("main", nil)
	if err != nil {
		return err
	}
	if err := r.sleep(time.Second); err != nil {
		return err
	}
	idle, err := inMiB(m.pid(), resident)
	if err != nil {
		return err
	}
	r.atMost("main node, idle", idle, "MiB", 25)
	n := r.size(10_000, 500)
	numbers, err := r.numbers(n)
	if err != nil {
		return err
	}
	if _, err := r.worker(m, "worker", 2); err != nil {
		return err
	}
	if _, err := r.each(m, n, numbers, "--", "true", "{}"); err != nil {
		return err
	}
	after, err := inMiB(m.pid(), resident)
	if err != nil {
		return err
	}
	r.atMost("after "+number(float64(n), "tasks"), after, "MiB", 40)
	most, err := inMiB(m.pid(), mostResident)
	r.tell("at most meanwhile", most, "MiB")
	return err
}
