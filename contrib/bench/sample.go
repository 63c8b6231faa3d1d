package main

import (
	"math"
	"slices"
	"time"
)

// sample is numbers that were measured, in the order in which they were.
type sample []float64

// quantile is the number below which that part of the sample lies: 0.5 gives the median.
func (s sample) quantile(part float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	if part == 0.5 && len(sorted)%2 == 0 {
		return (sorted[len(sorted)/2-1] + sorted[len(sorted)/2]) / 2
	}
	return sorted[min(int(part*float64(len(sorted))), len(sorted)-1)]
}

func (s sample) median() float64 { return s.quantile(0.5) }

// figure is the median with its spread.
func (s sample) figure() Figure {
	return Figure{Value: s.median(), Low: slices.Min(s), High: slices.Max(s), Of: len(s)}
}

// both makes a sample of two, number by number.
func both(a, b sample, f func(a, b float64) float64) sample {
	s := make(sample, len(a))
	for i := range a {
		s[i] = f(a[i], b[i])
	}
	return s
}

func ratio(a, b float64) float64      { return a / b }
func difference(a, b float64) float64 { return a - b }

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// pairs measures a and b in turns, so that what else happens on this machine happens to both alike.
func (r *run) pairs(a, b func() (float64, error)) (as, bs sample, err error) {
	for range r.set.pairs {
		one, err := a()
		if err != nil {
			return nil, nil, err
		}
		other, err := b()
		if err != nil {
			return nil, nil, err
		}
		as, bs = append(as, one), append(bs, other)
	}
	return as, bs, nil
}
