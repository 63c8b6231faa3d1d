package profile

import "runtime"

// architecture returns the machine's name as Linux' uname has it.
func (m *machine) architecture() string { return archName(uname(), runtime.GOARCH) }

// archName prefers what the kernel says (it knows an armv6l from an armv7l) to what this program was built for.
// One word for one thing: macOS says arm64, Windows says nothing.
func archName(kernel, goarch string) string {
	if kernel == "" {
		kernel = goarch
	}
	switch kernel {
	case "amd64":
		return "x86_64"
	case "arm64":
		return "aarch64"
	case "386":
		return "i686"
	case "arm":
		return "armv7l"
	}
	return kernel
}
