package profile

import "github.com/retire-cluster/retire-cluster/lib/device"

// roomy is the free space from which on a device can keep files for others.
const roomy = 16 << 30

// capabilities says what a device offers, in the words of the first Retire-Cluster. An Android device offers the
// network only if it shows an interface; elsewhere a list without one means no more than that it could not be
// read, as this machine is about to connect to the main node.
func capabilities(p device.Profile, diskFree int64) []string {
	android := p.Info.Platform == "android"
	can := []string{"computational"}
	add := func(name string, ok bool) {
		if ok {
			can = append(can, name)
		}
	}
	add("network_services", !android || len(p.Hardware.Interfaces) > 0)
	add("mobile_specific", android)
	add("storage", diskFree >= roomy)
	add("gpu", p.Hardware.GPU != "")
	return can
}
