package store

import (
	"fmt"
	"os"
	"path/filepath"
)

// fileSystem is what is known of a kind of file system.
type fileSystem struct {
	name  string
	why   string // it is no place for the database, or no good one; "": it is one
	never bool   // refused, unless somebody insists
}

const (
	network = "it is on another host, and locks and writes there are not what SQLite relies on: databases get damaged"
	through = "its program decides what becomes of locks and of what was to be on the disk, and nobody here can tell"
)

// fileSystems are the kinds that matter, by the number that Linux gives them. What is not here is taken for a local disk.
var fileSystems = map[int64]fileSystem{
	0x6969:     {"NFS", network, true},
	0xff534d42: {"SMB (CIFS)", network, true},
	0xfe534d42: {"SMB", network, true},
	0x517b:     {"SMB (smbfs)", network, true},
	0x01021997: {"9p", network, true},
	0x5346414f: {"AFS", network, true},
	0x6b414653: {"AFS", network, true},
	0x73757245: {"Coda", network, true},
	0x564c:     {"NCP", network, true},
	0x786f4256: {"a shared folder of VirtualBox", network, true},
	0xbacbacbc: {"a shared folder of VMware", network, true},
	0x7c7c6673: {"a shared folder of Parallels", network, true},
	0x65735546: {"FUSE", through, true},
	0x00c36400: {"Ceph", network, false},
	0x0bd00bd0: {"Lustre", network, false},
	0x47504653: {"GPFS", network, false},
	0x01161970: {"GFS2", network, false},
	0x7461636f: {"OCFS2", network, false},
	0x19830326: {"BeeGFS", network, false},
	0x4d44:     {"FAT", "it keeps no permissions: whoever uses this host can read the database and the keys", false},
	0x2011bab0: {"exFAT", "it keeps no permissions: whoever uses this host can read the database and the keys", false},
	0x01021994: {"tmpfs", "it is in memory: all of it is gone when this host is switched off", false},
	0x858458f6: {"ramfs", "it is in memory: all of it is gone when this host is switched off", false},
}

// CheckPlace says whether a folder, or where it would be made, is a place for the database. An error is a reason not to go on; a warning is for the owner to
// read. Where the owner insists, an error becomes a warning.
func CheckPlace(dir string, insists bool) (warning string, err error) {
	kind, ok := kindOf(standing(dir))
	if !ok {
		return "", nil
	}
	return judgePlace(dir, fileSystems[kind], insists)
}

func judgePlace(dir string, fs fileSystem, insists bool) (warning string, err error) {
	if fs.why == "" {
		return "", nil
	}
	text := fmt.Sprintf("the data directory %s is on %s: %s", dir, fs.name, fs.why)
	if fs.never && !insists {
		return "", fmt.Errorf("%s; name a folder on a local disk with --data, or say --any-filesystem if you know better", text)
	}
	return text, nil
}

// standing is the folder itself, or the nearest one above it that is there.
func standing(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || filepath.Dir(dir) == dir {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// Space says how large the disk of a folder is and how much of it is free for us, in bytes; ok is false where that cannot be told.
func Space(dir string) (size, free int64, ok bool) {
	size, free, err := diskSpace(filepath.Join(standing(dir), "file")) // which says on which disk it would be
	return size, free, err == nil
}
