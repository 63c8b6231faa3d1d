package profile

import (
	"context"
	"path/filepath"
	"strings"
	"time"
)

// patience is how long one of the programs that Read runs may take.
const patience = 3 * time.Second

func (m *machine) getprop() string { return filepath.Join(m.System, "bin", "getprop") }

// prop returns one of Android's properties; empty elsewhere. All are read at once: a fork is dear on a phone.
func (m *machine) prop(ctx context.Context, name string) string {
	if m.android && m.props == nil {
		m.props = parseProps(output(ctx, m.getprop()))
	}
	return m.props[name]
}

// parseProps reads lines like "[ro.product.model]: [Pixel 3a]". A value of several lines is cut to its first.
func parseProps(s string) map[string]string {
	props := make(map[string]string)
	for line := range strings.Lines(s) {
		k, v, ok := strings.Cut(strings.TrimSpace(line), "]: [")
		if ok && strings.HasPrefix(k, "[") {
			props[k[1:]] = strings.TrimSuffix(v, "]")
		}
	}
	return props
}
