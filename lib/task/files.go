package task

import (
	"io/fs"
	"path"
	"strings"
	"unicode"
)

// Bounds of what goes with one task.
const (
	MaxFiles    = 1000 // that it is sent, or brings back
	MaxPatterns = 100
	MaxFileSize = 1 << 50   // bytes
	maxFileName = 400       // bytes
	maxNames    = 128 << 10 // bytes of all names together
)

// Files are what an attempt is given in its private directory, and what is brought back from there.
type Files struct {
	In  []File   `json:"in,omitempty"`
	Out []string `json:"out,omitempty"` // names, or patterns as path.Match has them; of a directory all that is in it
}

// File is a file that goes with a task.
type File struct {
	Name       string `json:"name"`   // below the private directory, with slashes
	SHA256     string `json:"sha256"` // of its content, in hexadecimal
	Size       int64  `json:"size"`   // bytes
	Executable bool   `json:"executable,omitempty"`
}

// CheckFileName says whether a file that goes with a task can be called so: it never leads out of the directory that it is put in.
func CheckFileName(name string) error {
	if !fs.ValidPath(name) || name == "." || len(name) > maxFileName || strings.ContainsFunc(name, isOddInName) {
		return invalid("file name %.60q: a relative path without '..', '\\', ':' or control characters, of at most %d bytes", name, maxFileName)
	}
	return nil
}

func isOddInName(r rune) bool { return r == '\\' || r == ':' || unicode.IsControl(r) }

// Validate says whether files can go with a task, or come back.
func (f *Files) Validate() error {
	if f == nil {
		return nil
	}
	if len(f.Out) > MaxPatterns {
		return invalid("files.out: %d patterns, at most %d", len(f.Out), MaxPatterns)
	}
	for _, p := range f.Out {
		if _, err := path.Match(p, ""); err != nil {
			return invalid("files.out %.60q: not a pattern", p)
		}
		if err := CheckFileName(strings.ReplaceAll(p, `\`, "")); err != nil {
			return err
		}
	}
	return CheckFiles(f.In)
}

// CheckFiles says whether these files can be in one directory.
func CheckFiles(files []File) error {
	if len(files) > MaxFiles {
		return invalid("%d files, at most %d", len(files), MaxFiles)
	}
	seen := map[string]bool{} // true: a directory
	names := 0
	for i := range files {
		f := &files[i]
		if names += len(f.Name); names > maxNames {
			return invalid("files: their names have more than %d bytes together", maxNames)
		}
		if err := CheckFileName(f.Name); err != nil {
			return err
		}
		if len(f.SHA256) != 64 || strings.Trim(f.SHA256, "0123456789abcdef") != "" || f.Size < 0 || f.Size > MaxFileSize {
			return invalid("file %.60q: sha256 %.70q, size %d", f.Name, f.SHA256, f.Size)
		}
		if _, twice := seen[f.Name]; twice {
			return invalid("file %.60q: it is there twice", f.Name)
		}
		seen[f.Name] = false
		for dir := path.Dir(f.Name); dir != "."; dir = path.Dir(dir) {
			if isDir, there := seen[dir]; there && !isDir {
				return invalid("file %.60q: %q is a file, too", f.Name, dir)
			}
			seen[dir] = true
		}
	}
	return nil
}
