package render

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/letters"
)

// Letter returns all of one dead letter; others are where further letters of its
// event are. Times are UTC.
func Letter(l *letters.Letter, r *kgo.Record, others []letters.Position) string {
	var b strings.Builder
	field := func(name, value string) {
		if value == "" {
			value = none
		}
		fmt.Fprintf(&b, "%-9s %s\n", name, paragraph(value, strings.Repeat(" ", 10)))
	}
	field("letter", fmt.Sprintf("%s, partition %d, offset %d", r.Topic, l.Partition, l.Offset))
	for _, p := range others {
		field("also", p.String()+" is an older letter of this event")
	}
	for _, problem := range l.Problems {
		field("problem", problem)
	}
	field("time", l.Time.Format("2006-01-02 15:04:05.000000000 UTC"))
	field("reason", l.Reason)
	field("error", l.Error)
	field("attempts", number(l.Attempts))
	field("origin", l.Topic)
	field("source", l.Source)
	field("instance", l.Instance)
	field("event id", l.EventID)
	field("content", l.Content)
	field("bytes", letterSize(l))

	b.WriteString("\nheaders\n")
	for _, h := range r.Headers {
		fmt.Fprintf(&b, "  %s: %s\n", Printable(h.Key), paragraph(string(h.Value), "    "))
	}
	fmt.Fprintf(&b, "\nvalue of a record written %s UTC\n", r.Timestamp.UTC().Format(time.DateTime))
	b.WriteString(value(r.Value))
	return b.String()
}

// paragraph keeps the lines of a text: a joined error has several.
func paragraph(s, indent string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	for i, line := range lines {
		lines[i] = Printable(line)
	}
	return strings.Join(lines, "\n"+indent)
}

// value lays out JSON, keeps other text, and dumps what is no text.
func value(v []byte) string {
	var laidOut bytes.Buffer
	switch {
	case len(v) == 0:
		return "(empty)\n"
	case json.Indent(&laidOut, v, "", "  ") == nil:
		return paragraph(laidOut.String(), "") + "\n"
	case utf8.Valid(v):
		return paragraph(strings.ReplaceAll(string(v), "\t", "    "), "") + "\n"
	default:
		return hex.Dump(v)
	}
}
