package profile

import (
	"math"
	"slices"
	"time"
)

// Speed measures for a while how fast one core is now: millions of numbers that it sorts in a second, 4,096 at a time. A clock's rate says little of a core, and
// nothing of what the system lets a program have of it.
func Speed(span time.Duration) float64 {
	const many = 4096
	var numbers [many]uint32
	begin, sorted := time.Now(), 0
	for time.Since(begin) < span {
		x := uint32(2463534242) // the seed of Marsaglia's xorshift, the same each time
		for i := range numbers {
			x ^= x << 13
			x ^= x >> 17
			x ^= x << 5
			numbers[i] = x
		}
		slices.Sort(numbers[:])
		sorted += many
	}
	return math.Round(float64(sorted)/time.Since(begin).Seconds()/1e4) / 100
}
