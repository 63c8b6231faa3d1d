package profile

import (
	"context"
	"slices"
	"strings"
)

// model returns what the maker calls this machine.
func (m *machine) model(ctx context.Context) string {
	if m.android {
		return m.prop(ctx, "ro.product.model")
	}
	if board := m.board(); board != "" {
		return board
	}
	return parseProduct(text(m.Sys, "class/dmi/id/product_name"))
}

// board returns the model in the device tree, which PCs do not have; empty for a virtual machine's.
func (m *machine) board() string {
	s := text(m.Proc, "device-tree/model")
	if strings.Contains(s, "dummy-virt") {
		return ""
	}
	return s
}

var noProduct = []string{"to be filled by o.e.m.", "system product name", "default string", "not specified",
	"not applicable", "all series", "o.e.m.", "none", "unknown"}

// parseProduct drops what makers of mainboards write when they have nothing to say.
func parseProduct(s string) string {
	if slices.Contains(noProduct, strings.ToLower(s)) {
		return ""
	}
	return s
}
