package text

import (
	"math"
	"strings"
)

// Bar draws a fraction from 0 to 1: "███░░". What is not nothing shows at least one block, what is not everything
// leaves at least one.
func Bar(fraction float64, width int) string {
	width = max(width, 0)
	full := 0
	switch {
	case fraction >= 1:
		full = width
	case fraction > 0:
		full = int(math.Round(fraction * float64(width)))
		full = max(min(full, width-1), min(1, width))
	}
	return strings.Repeat("█", full) + strings.Repeat("░", width-full)
}
