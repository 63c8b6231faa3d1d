package executor

import (
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// inherited is what attempts inherit of this process's environment, and the PATH among it.
func inherited() (env []string, path string) {
	if path = os.Getenv("PATH"); path == "" {
		path = defaultPath
	}
	lang := os.Getenv("LANG")
	if lang == "" {
		lang = "C.UTF-8"
	}
	env = []string{"PATH=" + path, "LANG=" + lang}
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); systemNeeds(name) {
			env = append(env, v)
		}
	}
	return env, path
}

// systemNeeds says whether programs cannot run on this system without the variable.
func systemNeeds(name string) bool {
	switch {
	case runtime.GOOS == "windows":
		return slices.Contains([]string{"SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT"}, strings.ToUpper(name))
	case termux() != "":
		return name == "PREFIX" || name == "LD_PRELOAD" ||
			strings.HasPrefix(name, "ANDROID_") || strings.HasPrefix(name, "TERMUX_")
	}
	return false
}

// environment is what an attempt's process sees, and nothing else. What the task declares comes first, and of that its secrets.
func (x *Executor) environment(a Attempt, dir string, declared map[string]string) []string {
	if s := a.Spec.Secrets; s != nil {
		declared = maps.Clone(declared)
		if declared == nil {
			declared = map[string]string{}
		}
		maps.Copy(declared, *s)
	}
	env := make([]string, 0, len(x.inherit)+8+len(declared))
	add := func(name, value string) {
		if _, ok := declared[name]; !ok {
			env = append(env, name+"="+value)
		}
	}
	for _, v := range x.inherit {
		name, value, _ := strings.Cut(v, "=")
		add(name, value)
	}
	add("HOME", dir)
	for _, name := range tempVariables {
		add(name, dir)
	}
	add("RC_TASK", a.Lease.Task.String())
	add("RC_ATTEMPT", strconv.Itoa(a.Lease.Attempt))
	add("RC_DEVICE", a.Device)
	if !x.slots.alone() {
		add("RC_PROGRESS", progressFile)
	}
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		env = append(env, name+"="+declared[name])
	}
	return env
}
