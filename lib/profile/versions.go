package profile

import (
	"context"
	"regexp"
)

var version = regexp.MustCompile(`\d+(\.\d+)+`)

// versionFlag is what programs are asked with that do not know --version.
var versionFlag = map[string]string{"go": "version", "ffmpeg": "-version"}

// Versions asks the programs that were found what versions they are. It runs each of them, so it is for when nothing else is to be done.
func Versions(ctx context.Context, o Options, tools []string) map[string]string {
	m := newMachine(o.Roots)
	found := map[string]string{}
	for _, name := range tools {
		flag := versionFlag[name]
		if flag == "" {
			flag = "--version"
		}
		if v := version.FindString(output(ctx, m.look(name), flag)); v != "" {
			found[name] = v
		}
	}
	return found
}
