//go:build !unix

package store

import "errors"

// diskSpace is not known here.
func diskSpace(string) (total, free int64, err error) { return 0, 0, errors.ErrUnsupported }
