package render

import (
	"fmt"
	"strconv"
	"time"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/letters"
)

// none stands where a letter does not say something.
const none = "-"

// Letters returns a table of dead letters and how many there are of each reason.
// Times are UTC.
func Letters(all []*letters.Letter) string {
	t := table{left: 4}
	t.row("letter", "time", "instance", "event id", "reason", "attempts", "bytes")
	for _, l := range all {
		t.row(l.String(), l.Time.Format(time.DateTime), said(l.Instance), said(l.EventID), said(l.Reason), number(l.Attempts), letterSize(l))
	}
	var reasons table
	for _, c := range letters.ByReason(all) {
		reasons.row("  "+said(c.Reason), strconv.Itoa(c.Count))
	}
	return t.String() + "\n" + fmt.Sprintf("%d letters\n", len(all)) + reasons.String()
}

func said(s string) string {
	if s == "" {
		return none
	}
	return Printable(s)
}

func number(n *int64) string {
	if n == nil {
		return none
	}
	return strconv.FormatInt(*n, 10)
}

func letterSize(l *letters.Letter) string {
	if !l.Truncated {
		return strconv.Itoa(l.Size)
	}
	return fmt.Sprintf("%d of %s", l.Size, number(l.FullSize))
}
