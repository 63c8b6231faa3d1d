package profile

import "os"

func (m *machine) hostname() string {
	name := text(m.Proc, "sys/kernel/hostname")
	if name == "" && !m.fake {
		name, _ = os.Hostname()
	}
	return name
}
