package profile

import (
	"context"
	"regexp"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/device"
)

// DefaultName is what to call this machine when its owner did not say: the first label of its host name, or a
// phone's model ("pixel-3a"), since all phones are called localhost. It is always a valid device name.
func DefaultName(ctx context.Context, o Options) string {
	m := newMachine(o.Roots)
	name := strings.ToLower(m.prop(ctx, "ro.product.model"))
	if name == "" {
		name, _, _ = strings.Cut(m.hostname(), ".")
	}
	name = cleanName(name)
	if nameless(name) || device.CheckName(name) != nil {
		return "device"
	}
	return name
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// cleanName makes what may be in a device's name of s, joining its words by '-'.
func cleanName(s string) string {
	s = strings.TrimLeft(notInName.ReplaceAllString(s, "-"), "._-")
	return strings.TrimRight(s[:min(len(s), 64)], "._-")
}

// nameless says whether a host name is the one that every machine has.
func nameless(hostname string) bool {
	return hostname == "" || hostname == "localhost" || strings.HasPrefix(hostname, "localhost.")
}
