// Package nearest finds what somebody meant who wrote a name that there is not.
package nearest

import (
	"fmt"
	"strings"
)

// Unknown says that a name is not known, and which one may be meant if any; "" where none is.
func Unknown(name string, known []string) (detail, meant string) {
	best, least := "", 4
	for _, k := range known {
		if d := distance(name, k, least); d < least && d < len(k) {
			best, least = k, d
		}
	}
	if best != "" {
		return fmt.Sprintf("is not known: do you mean %s?", best), best
	}
	return "is not known: there are " + strings.Join(known, ", "), ""
}

// distance is the Levenshtein distance of two texts, or any number of at least
// most where it is not less.
func distance(a, b string, most int) int {
	if len(a)-len(b) >= most || len(b)-len(a) >= most {
		return most
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
