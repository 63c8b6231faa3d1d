package executor

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

// custom runs a type that the owner of the device brought along: a program in tasks.d, which is given the payload.
func (x *Executor) custom(ctx context.Context, a Attempt, out *output) task.Result {
	name := a.Spec.Type
	if x.options.TasksDir == "" {
		return ended(exitNotFound, "unknown task type "+name+": this device has no tasks.d")
	}
	if !isCustomName(name) {
		return ended(exitNotFound, "unknown task type "+name+": no file in tasks.d may be called so")
	}
	file := x.customFile(name)
	switch err := checkProgram(file); {
	case errors.Is(err, fs.ErrNotExist):
		return ended(exitNotFound, "unknown task type "+name+": no such file in tasks.d")
	case err != nil:
		return ended(exitNotExecutable, "task type "+name+": its file in tasks.d is "+err.Error())
	}
	stdin := string(a.Spec.Payload)
	if stdin == "" {
		stdin = "{}"
	}
	return x.process(ctx, a, program{path: file, argv: []string{name}, stdin: stdin}, out)
}

func (x *Executor) customFile(name string) string { return filepath.Join(x.options.TasksDir, name) }

// isCustomName says whether a file of this name can be a type: not a built-in one's name (which a file cannot
// shadow), not hidden (no type begins with a dot), not what editors and copiers leave behind.
func isCustomName(name string) bool {
	return task.CheckType(name) == nil && !strings.HasSuffix(name, ".tmp") && !isBuiltin(name)
}

func isBuiltin(name string) bool {
	switch name {
	case task.TypeCommand, task.TypeShell, task.TypePythonEval, task.TypeEcho, task.TypeSleep,
		task.TypeSystemInfo, task.TypeHTTP:
		return true
	}
	return false
}
