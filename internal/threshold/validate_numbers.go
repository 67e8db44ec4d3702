package threshold

import (
	"fmt"
	"math"
)

func (d *ruleDecoder) checkNumbers() {
	r := d.rule
	if !r.HasWarning && !r.HasCritical {
		d.note("warning", nil, "is missing: write warning or critical or both")
	}
	numbers := []struct {
		key   string
		value float64
		has   bool
	}{
		{"limit", r.LimitWritten, r.LimitWritten != 0},
		{"warning", r.Warning, r.HasWarning},
		{"critical", r.Critical, r.HasCritical},
		{"clear", r.Clear, r.HasClear},
	}
	negative := r.Metric != "" && r.Type == Absolute // degrees
	for _, n := range numbers {
		if !n.has {
			continue
		}
		if math.IsNaN(n.value) || math.Abs(n.value) > MaxNumber {
			d.note(n.key, n.value, fmt.Sprintf("must be a number of at most %g", MaxNumber))
		}
		if n.value < 0 && !negative {
			d.note(n.key, n.value, "must not be negative")
		}
		zero := n.value == 0 && r.Direction == Above && !negative && (n.key == "warning" || n.key == "critical")
		if zero {
			d.note(n.key, n.value, "everything reaches that: write a number above 0")
		}
	}
	if d.faulty("warning") || d.faulty("critical") || d.faulty("clear") {
		return
	}
	first := r.Warning // the level that begins first
	name := "warning"
	if !r.HasWarning {
		first, name = r.Critical, "critical"
	}
	both := r.HasWarning && r.HasCritical
	switch r.Direction {
	case Above:
		if both && r.Critical < r.Warning {
			d.note("critical", r.Critical, fmt.Sprintf("must be at least warning, which is %v", r.Warning))
		}
		if r.HasClear && r.Clear > first {
			d.note("clear", r.Clear, fmt.Sprintf("must be at most %s, which is %v", name, first))
		}
	case Below:
		if both && r.Critical > r.Warning {
			d.note("critical", r.Critical, fmt.Sprintf("must be at most warning, which is %v, with direction below", r.Warning))
		}
		if r.HasClear && r.Clear < first {
			d.note("clear", r.Clear, fmt.Sprintf("must be at least %s, which is %v, with direction below", name, first))
		}
	}
}

// checkShare checks percentages that cannot be above 100: shares of what was
// allotted, of which no more can be used.
func (d *ruleDecoder) checkShare() {
	r := d.rule
	if r.Type != Percentage || r.LimitWritten != 0 || r.Resource == "" {
		return
	}
	for _, n := range []struct {
		key   string
		value float64
	}{{"warning", r.Warning}, {"critical", r.Critical}, {"clear", r.Clear}} {
		if n.value > 100 {
			d.note(n.key, n.value, fmt.Sprintf("must be at most 100: %s is a share of what was allotted", r.Resource))
		}
	}
}
