// Package lib holds no code: only the policy of who may import whom.
package lib

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/retire-cluster/retire-cluster/"

// floors is a statement of policy, not a record of what is. A package imports from floors below its own only; packages on one floor do not know
// each other. A package that is not listed may not exist.
var floors = []string{
	"lib/task lib/device",
	"lib/cluster",
	"lib/store lib/scheduler lib/wire lib/executor lib/profile lib/text lib/depot lib/discovery",
	"lib/mainnode lib/worker lib/client",
	"lib/command lib/simulation",
	"lib/shell",
	"lib/web",
	"cmd/rc-mained cmd/rc-workerd cmd/rc-submit cmd/rc-status cmd/rc-logs cmd/rc-ctl cmd/rc-web testscripts testscripts/browser lib/proof lib/proof/disk lib/proof/restore contrib/bench",
}

// bottom are packages without I/O that know nothing of clusters, and that every package may import, aside or not; they import none.
var bottom = []string{"lib/visible", "lib/limit"}

// aside are packages that know nothing of clusters, and that every package may import but those of pure.
var aside = []string{"lib/cli", "lib/reload"}

// pure are packages that do no I/O.
var pure = []string{"lib/task", "lib/device", "lib/cluster", "lib/scheduler", "lib/text"}

// forbidden says what packages never import, by the beginning of the path.
var forbidden = map[string]string{
	"lib/limit":     "os net net/http database/sql log log/slog",
	"lib/visible":   "os net net/http database/sql log log/slog",
	"lib/task":      "os net net/http database/sql log log/slog",
	"lib/device":    "os net net/http database/sql log log/slog",
	"lib/cluster":   "os net net/http database/sql log log/slog",
	"lib/scheduler": "context os net net/http database/sql log log/slog",
	"lib/text":      "os net net/http database/sql log log/slog",
	"lib/wire":      "database/sql",
	"lib/store":     "net net/http log log/slog",
	"lib/depot":     "net net/http database/sql log log/slog",
	"lib/executor":  "database/sql os/exec",
	"lib/worker":    "database/sql",
	"lib/mainnode":  "database/sql html/template net/http",
	"lib/client":    "database/sql log log/slog",
	"lib/command":   "database/sql net/http",
	"lib/shell":     "database/sql net/http os/exec",
	"lib/web":       "database/sql",
}

// owners says which package alone may import a library from outside. Tests of a package may import what owns as well.
var owners = map[string]string{
	"github.com/mattn/go-sqlite3":              "lib/store",
	"github.com/shirou/gopsutil/v3":            "lib/profile",
	"mvdan.cc/sh/v3":                           "lib/shell",
	"github.com/chromedp/cdproto":              "testscripts/browser", // a module of its own
	"github.com/chromedp/chromedp":             "testscripts/browser",
	"rsc.io/qr":                                "lib/text",
	"github.com/alecthomas/kong":               "lib/cli",
	"github.com/DeRuina/timberjack":            "lib/cli",
	"github.com/coreos/go-systemd/v22":         "lib/cli",
	"github.com/fsnotify/fsnotify":             "lib/reload",
	"github.com/prometheus/client_golang":      "lib/web",
	"github.com/prometheus/client_model":       "lib/web",
	"github.com/prometheus/common":             "lib/web",
	"github.com/rogpeppe/go-internal":          "testscripts",
	"golang.org/x/sys":                         "lib/executor lib/profile lib/cli lib/worker lib/mainnode testscripts",
	"github.com/anishathalye/porcupine":        "lib/proof",
	"golang.org/x/term":                        "lib/cli",
	"golang.org/x/time":                        "lib/worker",
	"golang.org/x/net":                         "lib/discovery",
	"github.com/itchyny/gojq":                  "lib/shell",
	"github.com/santhosh-tekuri/jsonschema/v6": "lib/web", // its tests
}

func TestFloors(t *testing.T) {
	floor := map[string]int{}
	for i, names := range floors {
		for name := range strings.FieldsSeq(names) {
			floor[name] = i
		}
	}
	seen := map[string]bool{}
	eachImport(t, func(from, file, path string) {
		seen[from] = true
		to, ours := strings.CutPrefix(path, module)
		at, listed := floor[from]
		switch {
		case from == "lib":
		case !listed && !slices.Contains(aside, from) && !slices.Contains(bottom, from):
			t.Errorf("%s: %s stands on no floor", file, from)
		case ours && to == from: // a test from outside
		case ours && slices.Contains(bottom, from):
			t.Errorf("%s: %s is at the bottom and may not import %s", file, from, to)
		case ours && slices.Contains(bottom, to):
		case ours && slices.Contains(aside, to):
			if slices.Contains(pure, from) {
				t.Errorf("%s: %s is pure and may not import %s", file, from, to)
			}
		case ours && slices.Contains(aside, from):
			t.Errorf("%s: %s knows nothing of clusters and may not import %s", file, from, to)
		case ours:
			if below, ok := floor[to]; !ok || below >= at {
				t.Errorf("%s: %s may not import %s, which is not below it", file, from, to)
			}
		}
	})
	for name := range floor {
		if !seen[name] {
			t.Errorf("%s is on a floor, and does not exist", name)
		}
	}
}

func TestForbiddenAndOwners(t *testing.T) {
	eachImport(t, func(from, file, path string) {
		test := strings.HasSuffix(file, "_test.go")
		if !test && slices.Contains(strings.Fields(forbidden[from]), path) {
			t.Errorf("%s: %s never imports %s", file, from, path)
		}
		if strings.HasPrefix(path, module) || !strings.Contains(strings.SplitN(path, "/", 2)[0], ".") {
			return
		}
		for library, owner := range owners {
			if path == library || strings.HasPrefix(path, library+"/") {
				if !slices.Contains(strings.Fields(owner), from) {
					t.Errorf("%s: %s belongs to %s", file, library, owner)
				}
				return
			}
		}
		t.Errorf("%s: %s has no owner; if it is worth having, name one here", file, path)
	})
}

// eachImport calls f for every import of every Go file of the project.
func eachImport(t *testing.T, f func(from, file, path string)) {
	t.Helper()
	for _, root := range []string{"../lib", "../cmd", "../testscripts", "../contrib"} {
		err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") {
				return err
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			from := filepath.ToSlash(strings.TrimPrefix(filepath.Dir(file), ".."+string(filepath.Separator)))
			for _, i := range parsed.Imports {
				path, err := strconv.Unquote(i.Path.Value)
				if err != nil {
					return err
				}
				f(from, strings.TrimPrefix(file, "../"), path)
			}
			return nil
		})
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
}
