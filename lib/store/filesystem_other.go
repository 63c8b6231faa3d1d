//go:build !linux

package store

func kindOf(string) (int64, bool) { return 0, false }
