//go:build !linux

package executor

import "os"

// discard does nothing here: what is not kept is read all the same.
func discard(*os.File) (n int64, ok bool, err error) { return 0, false, nil }
