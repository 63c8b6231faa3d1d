package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed static
var statics embed.FS

// staticTags are the files that pages need, by their content.
var staticTags = tagStatics()

func tagStatics() map[string]string {
	tags := map[string]string{}
	err := fs.WalkDir(statics, "static", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := statics.ReadFile(name)
		sum := sha256.Sum256(b)
		tags[strings.TrimPrefix(name, "static/")] = hex.EncodeToString(sum[:6])
		return err
	})
	if err != nil { // they are in the program
		panic(err)
	}
	return tags
}

// staticAddress is where a file is, which is another place when it is another file: so a browser may keep it.
func staticAddress(name string) string { return "/static/" + name + "?v=" + staticTags[name] }

// static serves what the page needs.
func (s *Server) static(w http.ResponseWriter, r *http.Request) error {
	return s.file(w, r, r.PathValue("name"))
}

// vendor serves what others have made; static/vendor/versions.json says who.
func (s *Server) vendor(w http.ResponseWriter, r *http.Request) error {
	return s.file(w, r, "vendor/"+r.PathValue("name"))
}

// fileTypes are the kinds of files that pages need.
var fileTypes = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8", ".json": "application/json",
	"": "text/plain; charset=utf-8"}

func (s *Server) file(w http.ResponseWriter, r *http.Request, name string) error {
	b, err := statics.ReadFile("static/" + name)
	if err != nil {
		return refused(http.StatusNotFound, "E_NOT_FOUND", "there is no such page")
	}
	h, tag := w.Header(), `"`+staticTags[name]+`"`
	h.Set("ETag", tag)
	h.Set("Cache-Control", "private, no-cache") // ask whether it is the same still
	if r.URL.Query().Get("v") == staticTags[name] {
		h.Set("Cache-Control", "private, max-age=31536000, immutable")
	}
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", fileTypes[path.Ext(name)])
	w.Write(b)
	return nil
}
