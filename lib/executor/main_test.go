package executor

import (
	"os"
	"path/filepath"
	"testing"
)

// others are the programs that this test binary is under another name.
var others = map[string]func(argv []string){}

func TestMain(m *testing.M) {
	Main()
	if other := others[filepath.Base(os.Args[0])]; other != nil {
		other(os.Args)
	}
	os.Exit(m.Run())
}
