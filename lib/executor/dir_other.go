//go:build !linux

package executor

import "os"

func unlockDir(root *os.Root, path string) { root.Chmod(path, 0o700) }
