//go:build !linux

package profile

import "os/exec"

// lookPath returns where a program is; empty if nowhere in PATH.
func lookPath(name string, _ ...string) string {
	path, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return path
}
