package executor

import "slices"

// Sandbox is what keeps attempts from the rest of a device, beyond their private directory, their environment and their limits. The zero value is none. It
// is used as far as the system has it; Executor.Confined says how far that is.
type Sandbox struct {
	Hidden   []string // directories of which no attempt reads a file
	Readable []string // except for these, within them
	Writable []string // files and directories that attempts may read and change beside their own, whatever is in them
	User     int      // whom they run as where this process may choose; 0: as this process
	Group    int
}

// Confinement says what keeps the attempts of an executor from the rest of the device.
type Confinement struct {
	Level int      // see Level0 and the following
	Gaps  []string // what would be needed for the highest level, and is missing
}

// The levels of confinement. Each has what those below it have.
const (
	LevelNone   = 0 // an attempt is ended with its group of processes
	LevelTree   = 1 // with all that it has started; and its memory and its processes are measured
	LevelFiles  = 2 // it changes nothing but its own files, and cannot read the cluster's, nor what others at work here have
	LevelKernel = 3 // its memory and its processes are limited by the kernel
	LevelUser   = 4 // it has a user of its own
)

// confinement is what was seen to work.
type confinement struct {
	tree, landlock, kernel, user bool
	root                         bool // attempts run as the superuser, who reads the disk itself
}

func (c confinement) level() int {
	switch {
	case !c.tree:
		return LevelNone
	case !c.landlock || c.root:
		return LevelTree
	case !c.kernel:
		return LevelFiles
	case !c.user:
		return LevelKernel
	}
	return LevelUser
}

// gap is what is missing, and why where that is known.
func gap(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + why
}

// Confined says what keeps attempts from the rest of this device.
func (x *Executor) Confined() Confinement {
	return Confinement{Level: x.confined.Level, Gaps: slices.Clone(x.confined.Gaps)}
}
