package text

import (
	"fmt"
	"strings"

	"github.com/retire-cluster/retire-cluster/lib/visible"
)

// pipeField escapes a field of pipe text by percent-encoding, so that a clean field stays as it is, and every field
// can be read back.
func pipeField(s string) string {
	s = strings.ReplaceAll(s, "%", "%25")
	s = strings.ReplaceAll(s, "|", "%7C")
	return visible.Replace(s, percentEncode)
}

func percentEncode(r rune) string {
	var b strings.Builder
	for _, c := range []byte(string(r)) {
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}
