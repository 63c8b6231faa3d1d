package profile

import (
	"context"

	"golang.org/x/sys/unix"
)

// kernel returns the kernel's version. Some phones deny the file; nobody denies uname(2).
func (m *machine) kernel(context.Context) string {
	if v := text(m.Proc, "sys/kernel/osrelease"); v != "" {
		return v
	}
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

func uname() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Machine[:])
}
