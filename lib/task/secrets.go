package task

import (
	"strings"
	"unicode/utf8"
)

// Secrets are variables of a task's environment, by name, whose values nobody is shown: not who asks for the task, and not where the task prints
// them. The main node forgets them when the task is over.
type Secrets map[string]string

// Bounds of secrets.
const (
	MinSecret  = 4        // bytes: what is shorter stands in what everything prints
	maxSecrets = 32 << 10 // bytes of all of a task
)

// HiddenSecret stands for the value of a secret where a task is shown.
const HiddenSecret = "***"

// Hidden is secrets as they are shown.
func (s *Secrets) Hidden() *Secrets {
	if s == nil {
		return nil
	}
	hidden := Secrets{}
	for name := range *s {
		hidden[name] = HiddenSecret
	}
	return &hidden
}

// Validate says whether secrets can go with a task. The error is ErrInvalid, of which ErrLimit is one, and has no value in it.
func (s *Secrets) Validate() error {
	if s == nil {
		return nil
	}
	if len(*s) > MaxEnvironment {
		return tooMuch("%d secrets, at most %d", len(*s), MaxEnvironment)
	}
	size := 0
	for name, value := range *s {
		switch {
		case !envName.MatchString(name):
			return invalid("secret %.40q: a variable's name is letters, digits and '_'", name)
		case strings.Contains(value, "\x00") || !utf8.ValidString(value):
			return invalid("secret %s: it has to be text (UTF-8, without zero bytes); base64 makes text of what is not", name)
		case value == HiddenSecret:
			return invalid("secret %s: %s is what is shown in the place of a secret; give its value", name, HiddenSecret)
		case len(value) < MinSecret:
			return invalid("secret %s: %d bytes; what is shorter than %d cannot be hidden in what a task prints", name, len(value), MinSecret)
		}
		size += len(value)
	}
	if size > maxSecrets {
		return tooMuch("secrets of %d bytes, at most %d", size, maxSecrets)
	}
	return nil
}
