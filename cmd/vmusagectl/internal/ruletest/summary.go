package ruletest

import (
	"cmp"
	"slices"
	"strings"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

// A Summary is what a replay came to. Times are unix ns, 0 where nothing was replayed.
type Summary struct {
	Files      int   `json:"files"`
	Batches    int   `json:"metric_batches"` // that were replayed
	Events     int   `json:"usage_events"`   // that were replayed
	Others     int   `json:"other_events"`   // that say nothing of usage
	Empty      int   `json:"empty_batches"`  // without a point that could be checked
	Outside    int   `json:"outside"`        // of the times asked for
	OutOfOrder int   `json:"out_of_order"`   // replayed after younger ones
	Bad        int   `json:"unusable"`       // records that cannot be read
	First      int64 `json:"first_ns"`
	Last       int64 `json:"last_ns"`

	Instances     int    `json:"instances"`
	ManyInstances bool   `json:"many_instances,omitempty"` // there were more, which are not told apart
	Evaluations   int64  `json:"evaluations"`
	Repeated      uint64 `json:"repeated_periods"` // periods that had been added
	Ignored       uint64 `json:"ignored"`          // measurements and periods that are stale, overlap or are no number

	Rules      int          `json:"rules"`
	Disabled   int          `json:"disabled_rules"`
	Fired      []RuleCounts `json:"fired"`          // those with announcements, most first
	Unmatched  []string     `json:"matched_nobody"` // ids of rules whose selector matched no instance
	Unmeasured []string     `json:"not_measured"`   // ids of rules that matched, but what they measure never came

	Announced  Counts `json:"announced"`
	Suppressed uint64 `json:"suppressed"` // by the rate limits of a processor's defaults
	AtEnd      AtEnd  `json:"at_end"`
}

// Counts count announcements.
type Counts struct {
	Warning  int `json:"warning"`
	Critical int `json:"critical"`
	Resolved int `json:"resolved"`
	NoData   int `json:"no_data"`
}

// All returns how many there are.
func (c *Counts) All() int { return c.Warning + c.Critical + c.Resolved + c.NoData }

// RuleCounts are the announcements of one rule.
type RuleCounts struct {
	Rule string `json:"rule"`
	Counts
}

// AtEnd says where episodes stood after the last record.
type AtEnd struct {
	Pending  int `json:"pending"` // violated, but not for long enough
	Warning  int `json:"warning"`
	Critical int `json:"critical"`
}

// maxInstances bounds how many instances are told apart in order to count them.
const maxInstances = 1 << 20

// A witness remembers what was matched and checked. It is bounded by the rules
// and maxInstances.
type witness struct {
	instances map[string]struct{}
	many      bool
	rules     map[*threshold.Rule]*seen
	all       Counts
}

type seen struct {
	checked bool
	counts  Counts
}

func newWitness() witness {
	return witness{instances: map[string]struct{}{}, rules: map[*threshold.Rule]*seen{}}
}

func (w *witness) of(rule *threshold.Rule) *seen {
	s := w.rules[rule]
	if s == nil {
		s = &seen{}
		w.rules[rule] = s
	}
	return s
}

// Matched is for [checker.Witness].
func (w *witness) Matched(subject *threshold.Subject, m *threshold.Matched) {
	if _, ok := w.instances[subject.InstanceID]; ok {
		// what it matches may be more than before, should its owner change
	} else if len(w.instances) < maxInstances {
		w.instances[strings.Clone(subject.InstanceID)] = struct{}{}
	} else {
		w.many = true
	}
	for _, rule := range m.Rules() {
		w.of(rule)
	}
}

// Checked is for [checker.Witness].
func (w *witness) Checked(rule *threshold.Rule) { w.of(rule).checked = true }

func (w *witness) announced(a *threshold.Announcement) {
	for _, c := range [...]*Counts{&w.all, &w.of(a.Rule).counts} {
		switch {
		case a.State == threshold.Resolved:
			c.Resolved++
		case a.State == threshold.NoneSeen:
			c.NoData++
		case a.Level == threshold.Critical:
			c.Critical++
		default:
			c.Warning++
		}
	}
}

// end completes the summary.
func (r *Replay) end() *Summary {
	s, w, stats := &r.summary, &r.witness, r.engine.Stats()
	s.Last, s.Instances, s.ManyInstances = r.clock, len(w.instances), w.many
	s.Fired, s.Unmatched, s.Unmeasured = []RuleCounts{}, []string{}, []string{}
	for rule := range r.set.All() {
		s.Rules++
		seen := w.rules[rule]
		switch {
		case !rule.Enabled:
			s.Disabled++
		case seen == nil:
			s.Unmatched = append(s.Unmatched, rule.ID)
		case !seen.checked:
			s.Unmeasured = append(s.Unmeasured, rule.ID)
		case seen.counts.All() > 0:
			s.Fired = append(s.Fired, RuleCounts{rule.ID, seen.counts})
		}
	}
	slices.SortStableFunc(s.Fired, func(a, b RuleCounts) int { return cmp.Compare(b.All(), a.All()) })
	s.Announced = w.all
	for _, n := range stats.Suppressed {
		s.Suppressed += n
	}
	s.Repeated = stats.Repeated
	s.Ignored = stats.Invalid + stats.Stale + stats.Overlapping + stats.Late + stats.Refused
	s.AtEnd = AtEnd{stats.Pending, stats.Firing[threshold.Warning], stats.Firing[threshold.Critical]}
	return s
}
