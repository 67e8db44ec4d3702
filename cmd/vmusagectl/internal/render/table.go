package render

import (
	"strings"
	"unicode/utf8"
)

// A table aligns rows of equal length: the first columns to the left, the others,
// which are numbers and times, to the right.
type table struct {
	left   int // columns to the left after the first one
	rows   [][]string
	widths []int
}

func (t *table) row(cells ...string) {
	t.rows = append(t.rows, cells)
	for i, cell := range cells {
		if i == len(t.widths) {
			t.widths = append(t.widths, 0)
		}
		t.widths[i] = max(t.widths[i], utf8.RuneCountInString(cell))
	}
}

func (t *table) String() string {
	var b strings.Builder
	for _, cells := range t.rows {
		for i, cell := range cells {
			pad := strings.Repeat(" ", t.widths[i]-utf8.RuneCountInString(cell))
			switch {
			case i == 0:
				b.WriteString(cell + pad)
			case i <= t.left:
				b.WriteString("  " + cell + pad)
			default:
				b.WriteString("  " + pad + cell)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
