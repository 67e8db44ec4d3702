package vitals

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/signals"
)

// Stale reports whether metrics came and do not any more, or none came for as long as an
// instance may send nothing, and says which.
func (v *Vitals) Stale() (stale bool, detail string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.data.LastData().IsZero() {
		waited := v.now().Sub(v.started)
		return waited > v.stalledAfter, fmt.Sprintf("no metrics came since the start %v ago", waited.Round(time.Second))
	}
	silent := v.silent()
	return silent != "", silent
}

// silent says who sends nothing any more; "" where all send.
func (v *Vitals) silent() string {
	switch stalled, of := v.data.Stalled(v.stalledAfter); {
	case of == 0:
		return "nothing is known of any instance any more"
	case stalled > 0:
		return fmt.Sprintf("%d of %d instances send no metrics any more", stalled, of)
	default:
		return ""
	}
}

// signalsLocked adds what components say of themselves by signals, where their status does
// not say the same: that has only one error at a time, the one that was first.
func (v *Vitals) signalsLocked(components map[string]Component) {
	if v.signals == nil {
		return
	}
	for _, s := range v.signals() {
		part, what := partOf(s.Name)
		c := components[part]
		if part == "" || s.Detail != "" && slices.ContainsFunc(c.Details, func(d string) bool { return strings.Contains(d, s.Detail) }) {
			continue
		}
		detail := fmt.Sprintf("%s: %s since %s", s.Source, what, s.At.UTC().Format(time.RFC3339))
		if s.Detail != "" {
			detail += ": " + s.Detail
		}
		c.fails(Degraded, detail)
		components[part] = c
	}
}

// partOf returns of which part a signal is, and what it says; "" where that is found out
// anew for each report.
func partOf(n signals.Name) (part, what string) {
	switch n {
	case signals.SourceFailing:
		return Collection, "a source fails"
	case signals.StorageFailing:
		return Collection, "the storage fails"
	case signals.OutboxGrowing:
		return Publishing, "usage waits to be taken"
	case signals.BreakerOpen:
		return Publishing, "the circuit breaker is open"
	case signals.DeadLetters:
		return Publishing, "there are new dead letters"
	default: // StaleMetering
		return "", ""
	}
}
