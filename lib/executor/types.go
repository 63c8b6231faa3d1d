package executor

import (
	"os"
	"runtime"
	"slices"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// Types lists the types of task that this machine can run now, sorted. It looks anew at each call.
func (x *Executor) Types() []string {
	types := []string{task.TypeCommand, task.TypeEcho, task.TypeHTTP, task.TypeSleep}
	if x.options.SystemInfo != nil {
		types = append(types, task.TypeSystemInfo)
	}
	if _, err := x.findShell(); err == nil {
		types = append(types, task.TypeShell)
	}
	if _, err := lookPath(python, x.path); err == nil {
		types = append(types, task.TypePythonEval)
	}
	types = append(types, x.customTypes()...)
	types = slices.DeleteFunc(types, func(t string) bool { return !x.allows(t) })
	slices.Sort(types)
	return types
}

// allows says whether the owner of the device lets tasks of the type run.
func (x *Executor) allows(taskType string) bool {
	return len(x.options.Only) == 0 || slices.Contains(x.options.Only, taskType)
}

// isProgram says whether a task of the type runs as a process of its own.
func isProgram(taskType string) bool {
	switch taskType {
	case task.TypeEcho, task.TypeSleep, task.TypeHTTP, task.TypeSystemInfo:
		return false
	}
	return true
}

// StandsStill says whether attempts of the type can stand still on this system, see Executor.Halt.
func StandsStill(taskType string) bool { return isProgram(taskType) && runtime.GOOS != "windows" }

// Lines says whether attempts of the type can be lined up here, see Attempt.Lined.
func (x *Executor) Lines(taskType string) bool { return isProgram(taskType) && x.slots.line() }

func (x *Executor) customTypes() (types []string) {
	if x.options.TasksDir == "" {
		return nil
	}
	entries, err := os.ReadDir(x.options.TasksDir)
	if err != nil {
		return nil // not there yet: no custom types
	}
	for _, e := range entries {
		if isCustomName(e.Name()) && checkProgram(x.customFile(e.Name())) == nil {
			types = append(types, e.Name())
		}
	}
	return types
}
