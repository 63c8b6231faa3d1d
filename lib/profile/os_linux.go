package profile

import (
	"context"
	"strconv"
	"strings"
)

// osName returns the system's name for people.
func (m *machine) osName(ctx context.Context) string {
	if m.android {
		return strings.TrimSpace("Android " + m.prop(ctx, "ro.build.version.release"))
	}
	return parseOSRelease(text(m.Etc, "os-release"))
}

// parseOSRelease finds the name in os-release(5).
func parseOSRelease(s string) string {
	for _, key := range []string{"PRETTY_NAME", "NAME"} {
		if v := unquote(value(s, key, "=")); v != "" {
			return v
		}
	}
	return ""
}

// unquote takes a shell's quotes off.
func unquote(s string) string {
	if u, err := strconv.Unquote(s); err == nil {
		return u
	}
	return strings.Trim(s, `'"`)
}
