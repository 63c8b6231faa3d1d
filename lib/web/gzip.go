package web

import (
	"compress/gzip"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// compressors are used again: each holds some hundred KB.
var compressors = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed) // the level is one
	return z
}}

// compressed lets answers that are text be compressed for who takes that. Streams are not: an event waits for no block to be full. Nor is what is posted for: it
// may show a secret beside something that a stranger chose.
func compressed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || !takesGzip(r) {
			next.ServeHTTP(w, r)
			return
		}
		z := &zipped{ResponseWriter: w}
		next.ServeHTTP(z, r)
		z.finish()
	})
}

func takesGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		coding, params, err := mime.ParseMediaType(part)
		if err != nil || coding != "gzip" {
			continue
		}
		q, err := strconv.ParseFloat(params["q"], 64)
		return err != nil || q > 0
	}
	return false
}

// zipped is an answer that is compressed if its type is a text's.
type zipped struct {
	http.ResponseWriter
	begun bool
	to    *gzip.Writer // nil: it is not compressed
}

// Unwrap is for http.ResponseController.
func (z *zipped) Unwrap() http.ResponseWriter { return z.ResponseWriter }

var zippedTypes = []string{"text/html", "text/css", "text/javascript", "text/plain", "text/csv", "text/tab-separated-values", "application/json", "application/x-ndjson"}

func (z *zipped) WriteHeader(status int) {
	if z.begun || status < http.StatusOK {
		z.ResponseWriter.WriteHeader(status)
		return
	}
	z.begun = true
	h := z.Header()
	media, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	if slices.Contains(zippedTypes, media) && h.Get("Content-Encoding") == "" {
		h.Add("Vary", "Accept-Encoding")
		if status != http.StatusNoContent && status != http.StatusNotModified {
			h.Set("Content-Encoding", "gzip")
			h.Del("Content-Length")
			z.to = compressors.Get().(*gzip.Writer)
			z.to.Reset(z.ResponseWriter)
		}
	}
	z.ResponseWriter.WriteHeader(status)
}

func (z *zipped) Write(b []byte) (int, error) {
	if !z.begun {
		z.WriteHeader(http.StatusOK)
	}
	if z.to == nil {
		return z.ResponseWriter.Write(b)
	}
	return z.to.Write(b)
}

// FlushError sends on what was written.
func (z *zipped) FlushError() error {
	if z.to != nil {
		if err := z.to.Flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(z.ResponseWriter).Flush()
}

// finish ends what was compressed. An answer that breaks off, by a panic, is not made to look whole.
func (z *zipped) finish() {
	if z.to == nil {
		return
	}
	z.to.Close()
	z.to.Reset(io.Discard)
	compressors.Put(z.to)
}
