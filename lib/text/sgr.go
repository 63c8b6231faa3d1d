package text

import (
	"bytes"
	"regexp"
	"strconv"
)

// Limits of an SGR sequence (ESC [ … m: colours, bold) that is let through.
const (
	maxSGR           = 96 // bytes
	maxSGRParameters = 16
)

const resetSGR = "\x1b[0m"

// sgr is the length of the SGR sequence that b, an ESC first, begins with; 0: none. cut says that b ends too early
// to tell.
func sgr(b []byte) (n int, cut bool) {
	parameters := 1
	for i := 1; i < len(b) && i < maxSGR; i++ {
		switch c := b[i]; {
		case i == 1:
			if c != '[' {
				return 0, false
			}
		case c == 'm':
			return i + 1, false
		case c == ';' || c == ':':
			if parameters++; parameters > maxSGRParameters {
				return 0, false
			}
		case c < '0' || c > '9':
			return 0, false
		}
	}
	return 0, len(b) < maxSGR
}

// harmless leaves of the parameters of an SGR sequence those that colour and decorate what is seen; false: none. Not among them are 8, which hides text, 10 to
// 20, other fonts, by which the Linux console shows other characters from then on, and what is not known; nor a colour that is not whole, with all behind it,
// which terminals read differently. Text in the colour of what is behind it cannot be told from here.
func harmless(parameters []byte) (kept []byte, some bool) {
	var list [][]byte
	for all := bytes.Split(parameters, []byte(";")); len(all) > 0; {
		n := 1
		switch code := value(all[0]); {
		case bytes.IndexByte(all[0], ':') >= 0:
			if inOne.Match(all[0]) {
				list = append(list, all[0])
			}
		case code == 38 || code == 48 || code == 58:
			if n = colour(all); n == 0 {
				return bytes.Join(list, []byte(";")), len(list) > 0
			}
			list = append(list, all[:n]...)
		case decorates(code):
			list = append(list, all[0])
		}
		all = all[n:]
	}
	return bytes.Join(list, []byte(";")), len(list) > 0
}

// inOne matches the parameters that have numbers of their own: kinds of underline, and colours.
var inOne = regexp.MustCompile(`^(4:[0-5]|[345]8:5:\d{1,3}|[345]8:2:\d{0,3}:\d{1,3}:\d{1,3}(:\d{1,3})?)$`)

func decorates(code int) bool {
	return code >= 0 && code <= 7 || code == 9 || code >= 21 && code <= 25 || code >= 27 && code <= 49 || code == 53 || code == 55 || code == 59 ||
		code >= 90 && code <= 107
}

// colour is how many of the parameters, from 38, 48 or 58 on, are a colour: 38;5;N or 38;2;R;G;B; 0: they are none.
func colour(parameters [][]byte) int {
	n := 0
	switch {
	case len(parameters) < 2:
	case value(parameters[1]) == 5:
		n = 3
	case value(parameters[1]) == 2:
		n = 5
	}
	if n > len(parameters) {
		return 0
	}
	for _, p := range parameters[1:max(n, 1)] {
		if v := value(p); v < 0 || v > 255 {
			return 0
		}
	}
	return n
}

// value is the number that a parameter is; nothing is 0, what is none or too large -1.
func value(parameter []byte) int {
	if len(parameter) == 0 {
		return 0
	}
	n, err := strconv.ParseUint(string(parameter), 10, 16)
	if err != nil {
		return -1
	}
	return int(n)
}
