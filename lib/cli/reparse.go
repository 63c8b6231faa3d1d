package cli

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/alecthomas/kong"
)

// Reparse reads the configuration again: it fills fresh, a pointer to a new struct of the same type as the running command
// (or sub-command), from the same flags, the same environment and the file as it is now. After an error fresh is untouched.
// Find with [Changed] what differs.
type Reparse func(fresh any) error

func (inv *invocation) reparse(cmd any) Reparse {
	root := reflect.TypeOf(cmd).Elem()
	return func(fresh any) error {
		target := reflect.ValueOf(fresh)
		if target.Kind() != reflect.Pointer || target.IsNil() {
			return Exit(Internal, fmt.Errorf("read the configuration again: %T is no pointer to a struct", fresh))
		}
		parsed, err := inv.parse(reflect.New(root).Interface())
		if err != nil {
			return err
		}
		return copyNode(target.Elem(), parsed)
	}
}

// copyNode sets target to the parsed struct of its type.
func copyNode(target reflect.Value, parsed *kong.Context) error {
	for _, path := range parsed.Path {
		if node := path.Node(); node != nil && node.Target.Type() == target.Type() {
			target.Set(node.Target)
			return nil
		}
	}
	return Exit(Internal, fmt.Errorf("read the configuration again: %s is not the command that runs", target.Type()))
}

// Changed compares two structs of one type and returns the settings that differ, as they are called in the file:
// those tagged reload:"yes", which may change while the daemon runs, and those that need a restart.
// Sub-commands are not compared, but for the default one. It panics if the types differ or are not those of a command.
func Changed(old, fresh any) (live, restart []string) {
	before, after := flagsOf(old), flagsOf(fresh)
	for i, flag := range before {
		if reflect.DeepEqual(flag.Target.Interface(), after[i].Target.Interface()) {
			continue
		}
		if flag.Tag.Has("reload") {
			live = append(live, snake(flag.Name))
		} else {
			restart = append(restart, snake(flag.Name))
		}
	}
	return live, restart
}

// flagsOf returns the flags of a copy of cmd, as kong may write into what it describes.
func flagsOf(cmd any) []*kong.Flag {
	value := reflect.ValueOf(cmd).Elem()
	clone := reflect.New(value.Type())
	clone.Elem().Set(value)
	k, err := kong.New(clone.Interface(), kong.NoDefaultHelp())
	if err != nil {
		panic(fmt.Sprintf("cli: compare settings: %v", err))
	}
	if k.Model.DefaultCmd != nil {
		return append(slices.Clip(k.Model.Flags), k.Model.DefaultCmd.Flags...)
	}
	return k.Model.Flags
}

// Again is what a daemon does when it is to read its settings anew: into fresh, with take for what may change while it runs; then it says in the log
// what has changed and what will with the next start only. Where fresh or take is refused, the old settings stay.
func (l *Log) Again(reparse Reparse, old, fresh any, take func() error) {
	Reloading()
	defer Ready()
	err := reparse(fresh)
	if err == nil {
		err = take()
	}
	if err != nil {
		l.Error("configuration refused, the old one stays", "err", err)
		return
	}
	live, restart := Changed(old, fresh)
	l.Info("configuration read again", "changed", live)
	if len(restart) > 0 {
		l.Warn("these settings change with the next start only", "settings", restart)
	}
}
