package main

// rowTrue compares tasks that do nothing with what a shell user would write instead.
func rowTrue(r *run) error {
	n := r.size(10_000, 300)
	c, numbers, err := r.rigAndNumbers(n)
	if err != nil {
		return err
	}
	ours, theirs, err := r.pairs(
		func() (float64, error) {
			t, err := r.each(c.mainNode, n, numbers, "--", "true", "{}")
			return t.rate(n), err
		},
		func() (float64, error) {
			t, err := r.xargs(numbers)
			return t.rate(n), err
		})
	if err != nil {
		return err
	}
	ratios := both(ours, theirs, ratio).figure()
	r.atLeast("rc-submit / xargs -P2", ratios, "", 1)
	r.atLeast("the same, at the very least", ratios, "", 0.9)
	r.tell("rc-submit", ours.figure(), "/s")
	r.tell("xargs -P2", theirs.figure(), "/s")
	return nil
}

// rigAndNumbers is a worker with two slots, and the numbers from 1 to n.
func (r *run) rigAndNumbers(n int) (*rig, string, error) {
	numbers, err := r.numbers(n)
	if err != nil {
		return nil, "", err
	}
	c, err := r.rig(2)
	return c, numbers, err
}

// rowOverhead measures what is added to a process's own cost.
func rowOverhead(r *run) error {
	n := r.size(10_000, 500)
	c, numbers, err := r.rigAndNumbers(n)
	if err != nil {
		return err
	}
	perTask := func(t ran) float64 { return milliseconds(t.cpu) / float64(n) }
	ours, alone, err := r.pairs(
		func() (float64, error) {
			before, err := cpuOfTrees(c.pid(), c.worker.pid())
			if err != nil {
				return 0, err
			}
			t, err := r.each(c.mainNode, n, numbers, "--", "true", "{}")
			if err != nil {
				return 0, err
			}
			after, err := cpuOfTrees(c.pid(), c.worker.pid())
			t.cpu += after - before
			return perTask(t), err
		},
		func() (float64, error) {
			t, _, err := bare(n, 2)
			return perTask(t), err
		})
	if err != nil {
		return err
	}
	r.atMost("CPU a task, less that of true alone", both(ours, alone, difference).figure(), "ms", 0.12)
	r.tell("all processes", ours.figure(), "ms")
	r.tell("true alone: fork, exec, wait, two at a time", alone.figure(), "ms")
	return nil
}
