package command

import (
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/cli"
	"github.com/retire-cluster/retire-cluster/lib/task"
)

// loadSecrets reads the values that --secret names. They never stand among the arguments, where every user of this host could read them.
func (s *Spec) loadSecrets(env cli.Env) error {
	if len(s.Secret) == 0 {
		return nil
	}
	all := task.Secrets{}
	for _, given := range s.Secret {
		name, value, err := secretFrom(given, env)
		if err != nil {
			return err
		}
		all[name] = value
	}
	s.hidden = &all
	return nil
}

// secretFrom reads one value: NAME from the environment, NAME=@FILE from a file, without the newline at its end.
func secretFrom(given string, env cli.Env) (name, value string, err error) {
	name, from, elsewhere := strings.Cut(given, "=")
	if !elsewhere {
		value, there := env(name)
		if !there {
			return name, "", usage("--secret %.40s: there is no such variable in the environment of rc-submit; or name a file: --secret %.40s=@FILE", name, name)
		}
		return name, value, nil
	}
	file, is := strings.CutPrefix(from, "@")
	if !is {
		return name, "", usage("--secret %.40s=…: a value among the arguments can be read by every user of this host; put it into a variable of that name, or into a file: --secret %.40s=@FILE", name, name)
	}
	b, err := readBounded(file, maxLine)
	if err != nil {
		return name, "", badInput("--secret %.40s: %w", name, err)
	}
	return name, strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), nil
}
