package cli

import (
	"maps"
	"slices"
	"strings"
)

// nearest returns the word most like the given one, or "" if none is like it.
func nearest(word string, words map[string]bool) string {
	best, least := "", 3
	for _, w := range slices.Sorted(maps.Keys(words)) {
		d := distance(word, w)
		if strings.HasPrefix(w, word) {
			d = min(d, 2)
		}
		if d < least {
			best, least = w, d
		}
	}
	return best
}

// distance is Levenshtein's: how many bytes to insert, delete or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
