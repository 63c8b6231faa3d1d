package cli

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/alecthomas/kong"
)

// SecretFiles is a command that reads secrets from files that its flags name.
type SecretFiles interface {
	SecretFiles() []string
}

// openSecrets says which secrets lie open to other users of this host: those among the arguments, but for join codes, and those in files.
func (inv *invocation) openSecrets(parsed *kong.Context) (warnings []string) {
	var args []string
	if inv.process {
		args = inv.args
	}
	for _, arg := range args {
		if found := secret.FindString(arg); found != "" && !strings.HasPrefix(found, "rcj") {
			warnings = append(warnings, Mask(found)+" stands among the arguments, where other users of this host can read it: revoke it, and name a file with a new one")
		}
	}
	for _, path := range parsed.Path {
		if node := path.Node(); node != nil {
			if s, ok := node.Target.Addr().Interface().(SecretFiles); ok {
				return append(warnings, openFiles(s.SecretFiles())...)
			}
		}
	}
	return warnings
}

// openFiles says which of the files others may read. That one is not there says who reads it.
func openFiles(files []string) (warnings []string) {
	if runtime.GOOS == "windows" { // where these bits say nothing
		return nil
	}
	for _, name := range files {
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
			warnings = append(warnings, fmt.Sprintf("%s (%s): other users of this host may use the secret in it; chmod 600 it", name, info.Mode().Perm()))
		}
	}
	return warnings
}
