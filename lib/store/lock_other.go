//go:build !unix

package store

import "os"

// lockFile cannot lock here; SQLite's own locks still keep a second writer out.
func lockFile(path string) (*os.File, error) { return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) }
