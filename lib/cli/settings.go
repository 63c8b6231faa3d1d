package cli

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

// settings resolves the flags that are not on the command line, from the environment and then from the file.
type settings struct {
	inv       *invocation
	variables map[*kong.Value][]string
	file      *configFile // nil until it was read
}

func newSettings(inv *invocation) *settings {
	return &settings{inv: inv, variables: map[*kong.Value][]string{}}
}

// settingError is a wrong value in the environment or in the file.
type settingError struct {
	where  string // the variable, or file:line
	status int
	err    error
}

func (e *settingError) Error() string   { return e.where + ": " + e.err.Error() }
func (e *settingError) Unwrap() error   { return e.err }
func (e *settingError) ExitStatus() int { return e.status }

// takeVariables notes which variables set which flag and hides them from kong, which would ask the process, not us.
func (s *settings) takeVariables(k *kong.Kong) error {
	return kong.Visit(k.Model.Node, func(v kong.Visitable, next kong.Next) error {
		switch v := v.(type) {
		case *kong.Flag:
			s.variables[v.Value] = variables(s.inv.name, v)
			v.Envs, v.Tag.Envs = nil, nil
		case *kong.Value:
			v.Tag.Envs = nil
		}
		return next(nil)
	})
}

// variables are the names in the tag env, or the one made of the names of command and flag.
func variables(command string, flag *kong.Flag) []string {
	switch envs := flag.Tag.Envs; {
	case len(envs) == 1 && envs[0] == "-":
		return nil
	case len(envs) > 0:
		return envs
	}
	return []string{derivedVariable(command, flag.Name)}
}

func derivedVariable(command, flag string) string {
	return strings.NewReplacer("-", "_", ".", "_").Replace(strings.ToUpper(command + "_" + flag))
}

// Validate is for kong: nothing is left to check, as reading the file checked it.
func (s *settings) Validate(*kong.Application) error { return nil }

// Resolve returns the value of a flag that is not on the command line, nil for its default.
func (s *settings) Resolve(parsed *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if err := s.readFile(parsed); err != nil {
		return nil, err
	}
	for _, name := range s.variables[flag.Value] {
		text, ok := s.inv.env(name)
		if !ok || text == "" {
			continue
		}
		if err := try(flag, text); err != nil {
			return nil, &settingError{name, Usage, err}
		}
		return text, nil
	}
	return s.file.resolve(flag)
}

// try decodes a value into nowhere, so that an error can name where the value came from.
func try(flag *kong.Flag, value any) error {
	target := reflect.New(flag.Target.Type()).Elem()
	err := flag.Parse(kong.Scan().PushTyped(value, kong.FlagValueToken), target)
	if err != nil {
		return fmt.Errorf("%s", strings.TrimPrefix(err.Error(), flag.ShortSummary()+": "))
	}
	if flag.Enum != "" {
		if err := checkEnum(flag, target); err != nil {
			return err
		}
	}
	if v, ok := target.Addr().Interface().(interface{ Validate() error }); ok {
		return v.Validate()
	}
	return nil
}

func checkEnum(flag *kong.Flag, target reflect.Value) error {
	values := []reflect.Value{target}
	if target.Kind() == reflect.Slice {
		values = values[:0]
		for i := range target.Len() {
			values = append(values, target.Index(i))
		}
	}
	for _, v := range values {
		if text := fmt.Sprint(reflect.Indirect(v)); !flag.EnumMap()[text] {
			return fmt.Errorf("must be one of %s but got %q", strings.Join(flag.EnumSlice(), ", "), text)
		}
	}
	return nil
}
