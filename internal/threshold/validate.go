package threshold

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds of a rule.
const (
	MaxID          = 128    // bytes of an id
	MaxDescription = 4096   // bytes
	MaxText        = 256    // bytes of any other text
	MaxValues      = 10_000 // texts in one part of a selector
	MaxGlobs       = 100    // patterns in one part of a selector
	MaxLabels      = 32     // labels, attributes, or labels of a selector
	MaxChannels    = 32
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
	if slices.ContainsFunc([]string{"resource", "metric", "attributes", "type", "limit", "window", "unit"}, d.unclear) {
		return
	}
	if f := r.resolve(); f != nil {
		d.note(f.key, f.value, f.detail)
		return
	}
	d.checkShare()
}

// unclear reports whether a key has a fault, or is there under a wrong name.
func (d *ruleDecoder) unclear(key string) bool { return d.faulty(key) || slices.Contains(d.meant, key) }

// note notes a fault of a key where none is noted yet.
func (d *ruleDecoder) note(key string, value any, detail string) {
	same := func(f fault) bool { return f.key == key }
	meant := value == nil && slices.Contains(d.meant, key) // it is not missing, only misspelled
	if !meant && !slices.ContainsFunc(d.faults, same) {
		d.fault(key, value, detail)
	}
}

// oneOf checks a word, and replaces it by ours: all rules then share its bytes.
func oneOf[T ~string](d *ruleDecoder, key string, word *T, words ...T) {
	switch i := slices.Index(words, *word); {
	case i >= 0:
		*word = words[i]
	case *word == "":
		d.note(key, nil, "is missing: write "+alternatives(words))
	default:
		d.note(key, string(*word), "must be "+alternatives(words))
	}
}

func alternatives[T ~string](words []T) string {
	var b strings.Builder
	for i, w := range words {
		switch {
		case i > 0 && i == len(words)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(string(w))
	}
	return b.String()
}

// checkWhat checks what is measured, and sets the window that goes without saying.
func (d *ruleDecoder) checkWhat() {
	r := d.rule
	resources := []Resource{CPU, MemoryResource, Storage, NetworkIngress, NetworkEgress, DiskIO, GPU}
	switch {
	case r.Resource != "" && r.Metric != "":
		d.note("metric", r.Metric, "there is a resource, too: leave out one of them")
	case r.Resource != "":
		oneOf(d, "resource", &r.Resource, resources...)
	case r.Metric == "" && !d.unclear("metric") && !d.unclear("resource"):
		d.note("resource", nil, "is missing: write "+alternatives(resources)+", or metric and the name of one")
	}
	if len(r.Attributes) != 0 && r.Metric == "" {
		d.note("attributes", nil, "are of a metric: a resource has its own")
	}
	oneOf(d, "type", &r.Type, Percentage, Absolute)
	switch r.Resource {
	case NetworkIngress, NetworkEgress, DiskIO:
		if r.Window == WindowNone && !d.faulty("window") {
			r.Window = WindowPeriod
		}
	}
	if r.Type == Percentage {
		r.LimitUnit, r.Unit = r.Unit, "%"
		if r.LimitUnit != "" && r.LimitUnit != "%" && r.LimitWritten == 0 && !d.unclear("limit") {
			d.note("unit", r.LimitUnit, "that is the unit of limit, which is missing: write limit, or leave out unit")
		}
		if r.LimitUnit == "%" && r.LimitWritten == 0 {
			r.LimitUnit = ""
		}
	} else {
		if r.LimitWritten != 0 {
			d.note("limit", r.LimitWritten, "a limit is the 100 % of a percentage: leave it out, or write type: percentage")
		}
	}
}

func (d *ruleDecoder) checkTimes() {
	r := d.rule
	for _, t := range []struct {
		key   string
		value time.Duration
	}{{"for", r.For}, {"keep_firing_for", r.KeepFiringFor}, {"repeat_interval", r.RepeatInterval}, {"no_data_after", r.NoDataAfter}} {
		if t.value < 0 || t.value > MaxDuration {
			d.note(t.key, t.value, fmt.Sprintf("must be between 0s and %s", MaxDuration))
		}
	}
	if r.RepeatInterval != 0 && r.RepeatInterval < MinRepeat {
		d.note("repeat_interval", r.RepeatInterval, fmt.Sprintf("must be 0s, for never, or at least %s", MinRepeat))
	}
	oneOf(d, "no_data", &r.NoData, NoDataKeep, NoDataResolve, NoDataNotify)
	if r.NoDataAfter <= 0 && r.NoData != NoDataKeep {
		d.note("no_data_after", r.NoDataAfter, fmt.Sprintf("must be above 0s with no_data: %s", r.NoData))
	}
}

func (d *ruleDecoder) checkWindow() {
	r := d.rule
	oneOf(d, "direction", &r.Direction, Above, Below)
	oneOf(d, "per", &r.Per, PerInstance, PerUser, PerOrg)
	if r.Window != WindowNone {
		oneOf(d, "window", &r.Window, WindowPeriod, WindowHour, WindowDay, WindowMonth)
	}
	if d.faulty("window") {
		return
	}
	if r.Calendar() {
		d.checkQuota()
		return
	}
	if r.Timezone != time.UTC {
		d.note("timezone", r.Timezone.String(), "only hours, days and months have one: leave it out, or write window")
	}
	if r.Per != PerInstance {
		d.note("per", string(r.Per), "only over an hour, a day or a month is usage of several instances added up: write window, or per: instance")
	}
}

// checkQuota checks what a rule says that adds up usage over a window of the
// calendar: each level is told once, and the window's end is the end of it.
func (d *ruleDecoder) checkQuota() {
	r := d.rule
	if r.Direction == Below {
		d.note("direction", string(r.Direction), fmt.Sprintf("an amount is below everything as a %s begins: write window: period, or direction: above", r.Window))
	}
	for _, k := range []struct {
		key   string
		there bool
	}{
		{"clear", r.HasClear},
		{"for", r.For != 0},
		{"keep_firing_for", r.KeepFiringFor != 0},
		{"repeat_interval", r.RepeatInterval != 0},
		{"no_data", r.NoData != NoDataKeep},
	} {
		if k.there {
			d.note(k.key, nil, fmt.Sprintf("does nothing with window: %s, of which each level is told once: leave it out", r.Window))
		}
	}
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
	d.note("per", string(r.Per), fmt.Sprintf("each collector would count only what it sees of the %s: "+
		"write per: instance, or set scope: fleet on a gateway that gets all usage of an owner", r.Per))
}
