package main

import "fmt"

// rowEcho measures all of the way but the process.
func rowEcho(r *run) error {
	n := r.size(50_000, 2_000)
	c, numbers, err := r.rigAndNumbers(n)
	if err != nil {
		return err
	}
	few := r.size(5_000, 200) // for xargs, which is slower
	fewNumbers, err := r.numbers(few)
	if err != nil {
		return err
	}
	ours, theirs, err := r.pairs(
		func() (float64, error) {
			t, err := r.each(c.mainNode, n, numbers, "--type", "echo", "--payload", `{"message":"{}"}`)
			if err == nil && t.lines != n {
				err = fmt.Errorf("run rc-submit --type echo: it printed %d lines for %d tasks", t.lines, n)
			}
			return t.rate(n), err
		},
		func() (float64, error) {
			t, err := r.xargs(fewNumbers)
			return t.rate(few), err
		})
	if err != nil {
		return err
	}
	r.atLeast("tasks from submission to recorded result", ours.figure(), "/s", 20_000)
	r.atLeast("tasks / those of xargs -P2 -n1 true", both(ours, theirs, ratio).figure(), "", 12)
	return nil
}
