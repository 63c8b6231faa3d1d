package web

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

// tagOf is a weak name of what an answer says: who has an answer with this name need not be sent it again.
func tagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}

// hasAlready says whether whoever asks has the answer with this name.
func hasAlready(r *http.Request, tag string) bool {
	for known := range strings.SplitSeq(strings.Join(r.Header.Values("If-None-Match"), ","), ",") {
		if known = strings.TrimSpace(known); known == "*" || strings.TrimPrefix(known, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}
