//go:build !linux

package profile

import (
	"context"
	"os/exec"
	"time"
)

// output runs a program for at most patience and returns what it printed.
func output(ctx context.Context, path string, args ...string) string {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c := exec.CommandContext(ctx, path, args...)
	c.WaitDelay = time.Second
	b, _ := c.Output()
	return string(b)
}
