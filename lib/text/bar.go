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

// Sparkline draws values as a line of little columns: "▁▂▅█". It begins at zero, or at the least value below. When there
// are more values than width, each column is the mean of several. A value that is not a number is a gap.
func Sparkline(values []float64, width int) string {
	means := spread(values, width)
	low, high := 0.0, 0.0
	for _, v := range means {
		if v-v == 0 {
			low, high = min(low, v), max(high, v)
		}
	}
	var b strings.Builder
	for _, v := range means {
		b.WriteRune(spark(v, low, high))
	}
	return b.String()
}

func spark(v, low, high float64) rune {
	blocks := []rune("▁▂▃▄▅▆▇█")
	switch {
	case v-v != 0:
		return ' '
	case high == low:
		return blocks[0]
	}
	f := (v - low) / (high - low)
	if f != f { // the differences are more than a float holds
		f = 1
	}
	return blocks[int(f*float64(len(blocks)-1)+0.5)]
}

// spread makes at most width values of many.
func spread(values []float64, width int) []float64 {
	if len(values) <= width {
		return values
	}
	means := make([]float64, max(width, 0))
	for i := range means {
		part := values[i*len(values)/width : (i+1)*len(values)/width]
		for _, v := range part {
			means[i] += v / float64(len(part))
		}
	}
	return means
}
