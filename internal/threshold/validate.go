package threshold

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Bounds of a rule.
const (
	MaxID          = 128                  // bytes of an id
	MaxDescription = 4096                 // bytes
	MaxText        = 256                  // bytes of any other text
	MaxValues      = 10_000               // texts in one part of a selector
	MaxGlobs       = 100                  // patterns in one part of a selector
	MaxLabels      = 32                   // labels, attributes, or labels of a selector
	MaxChannels    = 32                   //
	MaxNumber      = 1e18                 // of warning, critical, clear and limit
	MaxDuration    = 366 * 24 * time.Hour // of any duration
	MinRepeat      = time.Second          // of a repeat_interval
)

// Defaults of a rule.
const (
	DefaultAction      = "notify"
	DefaultNoDataAfter = 5 * time.Minute
)

func newRule(source Source) *Rule {
	return &Rule{
		Enabled: true, Direction: Above, NoData: NoDataKeep, NoDataAfter: DefaultNoDataAfter,
		Per: PerInstance, Action: DefaultAction, Timezone: time.UTC, Source: source,
	}
}

// validate notes what is wrong with the rule, and sets what follows from it.
// Nothing is said twice of a key.
func (d *ruleDecoder) validate() {
	r := d.rule
	d.checkTexts()
	d.checkWhat()
	d.checkNumbers()
	d.checkTimes()
	d.checkWindow()
	d.checkFleet()
	d.checkSelector()
	if slices.ContainsFunc([]string{"resource", "metric", "attributes", "type", "limit", "window", "unit"}, d.faulty) {
		return
	}
	if f := r.resolve(); f != nil {
		d.check(false, f.key, f.value, f.detail)
		return
	}
	d.checkShare()
}

// check notes a fault of a key where ok is false and none is noted yet.
func (d *ruleDecoder) check(ok bool, key string, value any, detail string) {
	same := func(f fault) bool { return f.key == key }
	meant := value == nil && slices.Contains(d.meant, key) // it is not missing, only misspelled
	if !ok && !meant && !slices.ContainsFunc(d.faults, same) {
		d.fault(key, value, detail)
	}
}

// oneOf checks a word.
func (d *ruleDecoder) oneOf(key, value string, words ...string) {
	if value == "" {
		d.check(false, key, nil, "is missing: write "+alternatives(words))
		return
	}
	d.check(slices.Contains(words, value), key, value, "must be "+alternatives(words))
}

func alternatives(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// checkWhat checks what is measured, and sets the window that goes without saying.
func (d *ruleDecoder) checkWhat() {
	r := d.rule
	resources := []string{string(CPU), string(MemoryResource), string(Storage), string(NetworkIngress), string(NetworkEgress), string(DiskIO), string(GPU)}
	switch {
	case r.Resource != "" && r.Metric != "":
		d.check(false, "metric", r.Metric, "and there is a resource, too: leave out one of them")
	case r.Resource != "":
		d.oneOf("resource", string(r.Resource), resources...)
	case r.Metric == "" && !d.faulty("metric") && !d.faulty("resource"):
		d.check(false, "resource", nil, "is missing: write "+alternatives(resources)+", or metric and the name of one")
	}
	d.check(len(r.Attributes) == 0 || r.Metric != "", "attributes", nil, "are of a metric: a resource has its own")
	d.oneOf("type", string(r.Type), string(Percentage), string(Absolute))
	switch r.Resource {
	case NetworkIngress, NetworkEgress, DiskIO:
		if r.Window == WindowNone && !d.faulty("window") {
			r.Window = WindowPeriod
		}
	}
	if r.Type == Percentage {
		r.LimitUnit, r.Unit = r.Unit, "%"
		d.check(r.LimitUnit == "" || r.LimitUnit == "%" || r.LimitWritten != 0, "unit", r.LimitUnit, "is that of limit, which is missing: percentages have none, or write limit")
		if r.LimitUnit == "%" && r.LimitWritten == 0 {
			r.LimitUnit = ""
		}
	} else {
		d.check(r.LimitWritten == 0, "limit", r.LimitWritten, "is the 100 % of a percentage: leave it out, or write type: percentage")
	}
}

func (d *ruleDecoder) checkNumbers() {
	r := d.rule
	d.check(r.HasWarning || r.HasCritical, "warning", nil, "is missing: write warning or critical or both")
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
		d.check(!math.IsNaN(n.value) && math.Abs(n.value) <= MaxNumber, n.key, n.value, fmt.Sprintf("must be a number of at most %g", MaxNumber))
		d.check(n.value >= 0 || negative, n.key, n.value, "must not be negative")
		zero := n.value == 0 && r.Direction == Above && !negative && (n.key == "warning" || n.key == "critical")
		d.check(!zero, n.key, n.value, "is what everything reaches: write a number above 0")
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
		d.check(!both || r.Critical >= r.Warning, "critical", r.Critical, fmt.Sprintf("must be at least warning, which is %v", r.Warning))
		d.check(!r.HasClear || r.Clear <= first, "clear", r.Clear, fmt.Sprintf("must be at most %s, which is %v", name, first))
	case Below:
		d.check(!both || r.Critical <= r.Warning, "critical", r.Critical, fmt.Sprintf("must be at most warning, which is %v, with direction below", r.Warning))
		d.check(!r.HasClear || r.Clear >= first, "clear", r.Clear, fmt.Sprintf("must be at least %s, which is %v, with direction below", name, first))
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
		d.check(n.value <= 100, n.key, n.value, fmt.Sprintf("is never reached: %s is a share of what was allotted, at most 100", r.Resource))
	}
}

func (d *ruleDecoder) checkTimes() {
	r := d.rule
	for _, t := range []struct {
		key   string
		value time.Duration
	}{{"for", r.For}, {"keep_firing_for", r.KeepFiringFor}, {"repeat_interval", r.RepeatInterval}, {"no_data_after", r.NoDataAfter}} {
		d.check(t.value >= 0 && t.value <= MaxDuration, t.key, t.value, fmt.Sprintf("must be between 0s and %s", MaxDuration))
	}
	d.check(r.RepeatInterval == 0 || r.RepeatInterval >= MinRepeat, "repeat_interval", r.RepeatInterval, fmt.Sprintf("must be 0s, for never, or at least %s", MinRepeat))
	d.oneOf("no_data", string(r.NoData), string(NoDataKeep), string(NoDataResolve), string(NoDataNotify))
	d.check(r.NoDataAfter > 0 || r.NoData == NoDataKeep, "no_data_after", r.NoDataAfter, fmt.Sprintf("must be above 0s with no_data: %s", r.NoData))
}

func (d *ruleDecoder) checkWindow() {
	r := d.rule
	d.oneOf("direction", string(r.Direction), string(Above), string(Below))
	d.oneOf("per", string(r.Per), string(PerInstance), string(PerUser), string(PerOrg))
	if r.Window != WindowNone {
		d.oneOf("window", string(r.Window), string(WindowPeriod), string(WindowHour), string(WindowDay), string(WindowMonth))
	}
	if d.faulty("window") {
		return
	}
	if r.Calendar() {
		d.check(r.Direction != Below, "direction", string(r.Direction), fmt.Sprintf("with window: %s would be violated as each %s begins: use window: period, or above", r.Window, r.Window))
		return
	}
	d.check(r.Timezone.String() == "UTC", "timezone", r.Timezone.String(), "is for window: hour, day or month: leave it out")
	d.check(r.Per == PerInstance, "per", string(r.Per), "is for window: hour, day or month: levels and periods of several instances are not added up")
}

// Calendar reports whether the rule adds up usage over an hour, a day or a month.
func (r *Rule) Calendar() bool {
	return r.Window == WindowHour || r.Window == WindowDay || r.Window == WindowMonth
}

func (d *ruleDecoder) checkFleet() {
	r := d.rule
	if r.Per == PerInstance || d.options.Fleet {
		return
	}
	d.check(false, "per", string(r.Per), fmt.Sprintf("needs a collector that sees all usage of the %s, or each would count only its own part: "+
		"set scope: fleet on a gateway that gets all of an owner's usage, or write per: instance", r.Per))
}
