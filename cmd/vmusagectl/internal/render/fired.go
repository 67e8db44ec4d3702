package render

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/ruletest"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// firedRows is how many rows of a table are aligned with each other.
const firedRows = 1000

// Fired writes a table of violations, one row for each. Columns are aligned
// within a thousand rows, so that any number of them needs little memory.
type Fired struct {
	to    io.Writer
	table table
}

// NewFired returns a table that is written to w.
func NewFired(w io.Writer) *Fired { return &Fired{to: w} }

// Add adds a row. It keeps nothing of v.
func (f *Fired) Add(v *usage.Violation) error {
	if f.table.rows == nil {
		f.table.left = 8
		f.table.row("time (UTC)", "level", "state", "rule", "of", "value", "threshold", "since (UTC)", "")
	}
	level, state := v.Level.String(), string(v.State)
	if v.State == usage.Resolved && v.Reason != "" {
		state += ", " + v.Reason
	}
	if v.Count > 0 && v.State == usage.Firing {
		state += ", repeat " + strconv.FormatUint(uint64(v.Count), 10)
	}
	more := ""
	if v.Suppressed > 0 {
		more = fmt.Sprintf("and %d more kept back", v.Suppressed)
	}
	f.table.row(instant(v.At), level, strings.ReplaceAll(state, "_", " "), Printable(v.Rule.ID), firedSubject(v),
		quantity(v.Value, v.Rule.Unit), v.Rule.Direction+" "+quantity(v.Threshold, v.Rule.Unit), instant(v.Since), more)
	if len(f.table.rows) >= firedRows {
		return f.Flush()
	}
	return nil
}

// Flush writes what was added.
func (f *Fired) Flush() error {
	if f.table.rows == nil {
		return nil
	}
	var lines strings.Builder
	for line := range strings.Lines(f.table.String()) {
		lines.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	f.table = table{}
	_, err := io.WriteString(f.to, lines.String())
	return err
}

func firedSubject(v *usage.Violation) string {
	subject := v.Subject()
	switch v.Rule.Per {
	case usage.PerUser:
		subject = "user " + subject
	case usage.PerOrg:
		subject = "organization " + subject
	}
	if v.Series != "" {
		subject += " " + v.Series
	}
	return Printable(subject)
}

// Replayed returns what a replay came to.
func Replayed(s *ruletest.Summary) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	a := &s.Announced
	line("announced: %d warning, %d critical, %d resolved, %d without data", a.Warning, a.Critical, a.Resolved, a.NoData)
	if s.Suppressed > 0 {
		line("kept back by rate limits: %d", s.Suppressed)
	}
	line("at the end: %d warning, %d critical, %d not for long enough", s.AtEnd.Warning, s.AtEnd.Critical, s.AtEnd.Pending)
	if len(s.Fired) > 0 {
		t := table{}
		t.row("by rule", "warning", "critical", "resolved", "no data")
		for _, r := range s.Fired[:min(len(s.Fired), mostNamed)] {
			t.row(Printable(r.Rule), strconv.Itoa(r.Warning), strconv.Itoa(r.Critical), strconv.Itoa(r.Resolved), strconv.Itoa(r.NoData))
		}
		b.WriteString(t.String())
		if more := len(s.Fired) - mostNamed; more > 0 {
			line("and %d rules more", more)
		}
	}
	replayed(line, s)
	quiet := len(s.Unmatched) + len(s.Unmeasured) + s.Disabled
	line("rules: %d, of which %d were checked, %d times", s.Rules, s.Rules-quiet, s.Evaluations)
	if s.Disabled > 0 {
		line("disabled: %d", s.Disabled)
	}
	named(line, "matched nobody", s.Unmatched)
	named(line, "matched, but what they measure never came", s.Unmeasured)
	return b.String()
}

// replayed writes what the replay was of.
func replayed(line func(string, ...any), s *ruletest.Summary) {
	more := ""
	if s.ManyInstances {
		more = " and more"
	}
	if s.First == 0 {
		line("replayed: nothing")
	} else {
		line("replayed: %d usage events and %d batches of metrics of %d instances%s, from %s to %s UTC",
			s.Events, s.Batches, s.Instances, more, instant(s.First), instant(s.Last))
	}
	for _, part := range []struct {
		n    int
		what string
	}{
		{s.Outside, "outside of --from and --to"},
		{s.Others, "events of other types"},
		{s.Empty, "batches without gauges and sums"},
		{s.Bad, "unusable, as told above"},
	} {
		if part.n > 0 {
			line("passed over, %s: %d", part.what, part.n)
		}
	}
	if s.Repeated > 0 {
		line("repeated: %d periods, which count once", s.Repeated)
	}
	if s.OutOfOrder > 0 {
		line("out of order: %d records came after younger ones by too far to be sorted", s.OutOfOrder)
	}
	if s.Ignored > 0 {
		line("ignored: %d measurements or periods that are stale, overlap others, come too late or are no number", s.Ignored)
	}
}

// mostNamed is how many rules are named.
const mostNamed = 20

func named(line func(string, ...any), what string, ids []string) {
	if len(ids) == 0 {
		return
	}
	names := make([]string, 0, mostNamed)
	for _, id := range ids[:min(len(ids), mostNamed)] {
		names = append(names, Printable(id))
	}
	more := ""
	if len(ids) > mostNamed {
		more = fmt.Sprintf(" and %d more", len(ids)-mostNamed)
	}
	line("%s: %d: %s%s", what, len(ids), strings.Join(names, ", "), more)
}
