package profile

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// coreSpeeds returns how fast each core can run, in MHz: a phone's are of two or three kinds. None where the system does not say it of all.
func (m *machine) coreSpeeds() (mhz []int) {
	for core := range m.cores() {
		khz, err := strconv.Atoi(text(m.Sys, "devices/system/cpu", "cpu"+strconv.Itoa(core), "cpufreq/cpuinfo_max_freq"))
		if err != nil || khz <= 0 {
			return nil
		}
		mhz = append(mhz, khz/1000)
	}
	return mhz
}

// virtual returns what this machine is made of by another: "container", or a virtual machine's maker; empty: it is real, or does not say.
func (m *machine) virtual() string {
	if exists(filepath.Join(m.Etc, "..", ".dockerenv")) || exists(filepath.Join(m.Etc, "..", "run", ".containerenv")) || text(m.Etc, "..", "run/systemd/container") != "" {
		return "container"
	}
	maker := text(m.Sys, "class/dmi/id/sys_vendor")
	for _, v := range []struct{ maker, name string }{{"QEMU", "qemu"}, {"VMware", "vmware"}, {"innotek", "virtualbox"}, {"Xen", "xen"}, {"Amazon EC2", "amazon"}, {"Google", "google"}, {"Parallels", "parallels"}} {
		if strings.HasPrefix(maker, v.maker) {
			return v.name
		}
	}
	if maker == "Microsoft Corporation" && strings.HasPrefix(text(m.Sys, "class/dmi/id/product_name"), "Virtual") {
		return "hyperv"
	}
	if strings.Contains(" "+value(text(m.Proc, "cpuinfo"), "flags", ":")+" ", " hypervisor ") {
		return "vm"
	}
	return ""
}

// network returns "wire" where a cable is plugged in, else "wifi" where one of the interfaces is one.
func (m *machine) network() (kind string) {
	for _, name := range m.interfaces() {
		below := func(file string) bool { return exists(filepath.Join(m.Sys, "class/net", name, file)) }
		switch {
		case below("wireless") || below("phy80211"):
			kind = "wifi"
		case below("device") && text(m.Sys, "class/net", name, "carrier") == "1":
			return "wire"
		}
	}
	return kind
}

// diskKind returns "flash" for a card, "ssd" or "hdd": what the folder lies on.
func (m *machine) diskKind(dir string) string {
	var st unix.Stat_t
	if unix.Stat(standing(dir), &st) != nil {
		return ""
	}
	dev := filepath.Join(m.Sys, "dev/block", strconv.Itoa(int(unix.Major(uint64(st.Dev))))+":"+strconv.Itoa(int(unix.Minor(uint64(st.Dev)))))
	real, err := filepath.EvalSymlinks(dev)
	if err != nil {
		return ""
	}
	if _, err := os.Stat(filepath.Join(real, "partition")); err == nil {
		real = filepath.Dir(real)
	}
	switch name := filepath.Base(real); {
	case strings.HasPrefix(name, "mmcblk"):
		return "flash"
	case text(real, "queue/rotational") == "1":
		return "hdd"
	case text(real, "queue/rotational") == "0":
		return "ssd"
	}
	return ""
}
