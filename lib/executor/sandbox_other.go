//go:build !linux

package executor

import "runtime"

// owner is whose the files of an attempt are: this process's.
func (x *Executor) owner() (user, group int) { return 0, 0 }

// confine finds out how far the system can keep attempts from the rest of the device.
func (x *Executor) confine() error {
	if runtime.GOOS == "windows" {
		x.confined = Confinement{Level: LevelTree, Gaps: []string{"files: a task can read and change what the worker can", "user: tasks run as the worker's"}}
		return nil
	}
	x.confined = Confinement{Level: LevelNone, Gaps: []string{"nothing but its group of processes is known to be a task's on this system"}}
	return nil
}
