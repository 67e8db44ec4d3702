package render

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/verify"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// Report returns what is proven: a table of instances and their sums, the streams
// of those that have several, notes, violations, and the verdict. Times are UTC.
func Report(r *verify.Report) string {
	var b strings.Builder
	if len(r.Instances) > 0 {
		b.WriteString(sums(r))
	}
	for i := range r.Instances {
		if in := &r.Instances[i]; len(in.Streams) > 1 {
			streams(&b, in)
		}
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", Printable(note))
	}
	for i := range r.Violations {
		b.WriteString(violation(&r.Violations[i]))
	}
	if more := r.ViolationCount - len(r.Violations); more > 0 {
		fmt.Fprintf(&b, "and %d violations more\n", more)
	}
	b.WriteString(verdict(r))
	return b.String()
}

// sums returns the table: a row for each instance, and one for all of them.
func sums(r *verify.Report) string {
	var t table
	head := []string{"instance", "streams", "events", "repeats", "gaps", "recovered", "first", "last"}
	for _, c := range sumColumns {
		if c.shown(r) {
			head = append(head, c.head)
		}
	}
	t.row(head...)
	all, first, last := 0, r.Instances[0].First, r.Instances[0].Last
	row := func(name string, streams int, n verify.Counts, first, last int64, amounts *verify.Amounts) {
		cells := []string{
			name, strconv.Itoa(streams), strconv.Itoa(n.Events), strconv.Itoa(n.Repeats), strconv.Itoa(n.Gaps), strconv.Itoa(n.Recovered),
			instant(first), instant(last),
		}
		for _, c := range sumColumns {
			if c.shown(r) {
				cells = append(cells, c.cell(amounts))
			}
		}
		t.row(cells...)
	}
	for i := range r.Instances {
		in := &r.Instances[i]
		all, first, last = all+len(in.Streams), min(first, in.First), max(last, in.Last)
		row(Printable(in.ID), len(in.Streams), in.Counts, in.First, in.Last, &in.Usage)
	}
	row("all", all, r.Counts, first, last, &r.Usage)
	return t.String()
}

// A sumColumn is a column with the sums of a meter.
type sumColumn struct {
	head     string
	meter    usage.Meter
	show     func(int64) string
	optional bool // left out where no instance has it
}

var sumColumns = []sumColumn{
	{"cpu s", usage.CPUTime, exactSeconds, false},
	{"memory GiB.h", usage.Memory, gibHours, false},
	{"storage GiB.h", usage.Storage, gibHours, false},
	{"disk read B", usage.DiskReadBytes, decimal, false},
	{"disk write B", usage.DiskWriteBytes, decimal, false},
	{"net out B", usage.NetworkTransmitBytes, decimal, false},
	{"net in B", usage.NetworkReceiveBytes, decimal, false},
	{"gpu s", usage.GPUActive, exactSeconds, true},
}

func (c *sumColumn) shown(r *verify.Report) bool {
	return !c.optional || r.Usage.Metered.Has(c.meter)
}

func (c *sumColumn) cell(a *verify.Amounts) string {
	if !a.Metered.Has(c.meter) {
		return "-"
	}
	return c.show(a.Of[c.meter])
}

func exactSeconds(us int64) string { return fmt.Sprintf("%d.%06d", us/1e6, us%1e6) }

func gibHours(mibSeconds int64) string { return fmt.Sprintf("%.3f", float64(mibSeconds)/(1<<10*3600)) }

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// streams lists the streams of an instance.
func streams(b *strings.Builder, in *verify.Instance) {
	fmt.Fprintf(b, "streams of %s:\n", Printable(in.ID))
	for _, s := range in.Streams {
		fmt.Fprintf(b, "  %s  %s on %s, sequences %d to %d, %s - %s\n", s.ID, Printable(s.Source), Printable(s.Host), s.First, s.Last, instant(s.Start), instant(s.End))
	}
}

func violation(v *verify.Violation) string {
	s := "violation: " + string(v.Kind)
	if v.Instance != "" {
		s += fmt.Sprintf(": instance %s, stream %s, sequence %d", v.Instance, v.Stream, v.Sequence)
	}
	return Printable(fmt.Sprintf("%s (%s): %s", s, v.Where, v.Detail)) + "\n"
}

// verdict returns the line that says that all is proven. What is not is said by
// the violations, and by the error that the command ends with.
func verdict(r *verify.Report) string {
	if !r.Proven {
		return ""
	}
	n := 0
	for i := range r.Instances {
		n += len(r.Instances[i].Streams)
	}
	return fmt.Sprintf("proven: %d events of %d streams are complete and add up\n", r.Events, n)
}

func instant(ns int64) string { return time.Unix(0, ns).UTC().Format(time.DateTime) }
