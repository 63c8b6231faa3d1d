package command

import (
	"encoding/json"
	"strings"
)

// hole is what stands in a template for a line of input.
const hole = "{}"

// fillArgv puts a line into the holes of a command line; one without holes gets the line as its last argument.
func fillArgv(argv []string, line string) []string {
	filled := make([]string, len(argv), len(argv)+1)
	found := false
	for i, arg := range argv {
		found = found || strings.Contains(arg, hole)
		filled[i] = strings.ReplaceAll(arg, hole, line)
	}
	if !found {
		filled = append(filled, line)
	}
	return filled
}

// fillShell puts a line into the holes of a script, quoted: whatever it contains is one word to the shell.
func fillShell(script, line string) string {
	return strings.ReplaceAll(script, hole, shellQuote(line))
}

// shellQuote quotes for sh. Within single quotes nothing is special but the single quote itself.
func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// fillJSON puts a line into the holes within the strings of a JSON text. An empty object is none of them.
func fillJSON(text, line string) (filled string, holes int) {
	var b strings.Builder
	escaped := jsonEscape(line)
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\' && i+1 < len(text):
			b.WriteByte(c)
			i++
		case c == '"':
			quoted = !quoted
		case quoted && strings.HasPrefix(text[i:], hole):
			b.WriteString(escaped)
			holes++
			i += len(hole) - 1
			continue
		}
		b.WriteByte(text[i])
	}
	return b.String(), holes
}

// jsonEscape is s as it stands between the quotes of a JSON string.
func jsonEscape(s string) string {
	quoted, _ := json.Marshal(s) // a string can always be
	return string(quoted[1 : len(quoted)-1])
}
