package profile

import (
	"slices"
	"strings"
)

// gpu returns the name of a graphics processor that programs can compute on; empty if there is none.
func (m *machine) gpu() string {
	for _, id := range list(m.Proc, "driver/nvidia/gpus") {
		if name := value(text(m.Proc, "driver/nvidia/gpus", id, "information"), "Model", ":"); name != "" {
			return name
		}
	}
	for _, node := range list(m.Sys, "class/drm") {
		// Only a GPU has a render node; a server's or a virtual machine's plain screen has none.
		if strings.HasPrefix(node, "renderD") {
			dir := []string{m.Sys, "class/drm", node, "device"}
			if name := gpuName(text(append(dir, "vendor")...), text(append(dir, "uevent")...)); name != "" {
				return name
			}
		}
	}
	return ""
}

var gpuVendors = map[string]string{"0x10de": "NVIDIA", "0x1002": "AMD", "0x8086": "Intel"}

// gpuName makes a name of a PCI vendor and of the driver in a uevent file: "Intel (i915)", "v3d".
func gpuName(vendor, uevent string) string {
	driver := value(uevent, "DRIVER", "=")
	if slices.Contains([]string{"", "virtio_gpu", "virtio-pci", "vmwgfx", "vgem"}, driver) {
		return ""
	}
	if v := gpuVendors[vendor]; v != "" {
		return v + " (" + driver + ")"
	}
	return driver
}
