package checker

import (
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// ActionLog is the action of rules whose announcements are for the log only.
const ActionLog = "log"

// Announce appends announcements to md, each as a vm.threshold.violation of the
// resource that it is about: as md has it, or what the announcement knows of it.
// Those that are for the log only are left out.
func Announce(md pmetric.Metrics, said []threshold.Announcement) {
	if len(said) == 0 {
		return
	}
	d := NewDescriber(md)
	var v usage.Violation
	for i := range said {
		if said[i].Rule.Action != ActionLog {
			d.Describe(&v, &said[i])
			usage.AppendViolation(md.ResourceMetrics(), &v)
		}
	}
}

// A Describer makes violations of announcements that follow from metrics.
type Describer struct {
	rms   pmetric.ResourceMetricsSlice
	known map[string]int // where in rms an instance is
}

// NewDescriber returns one for what follows from md, to which resources may be
// appended in the meantime.
func NewDescriber(md pmetric.Metrics) *Describer {
	d := &Describer{md.ResourceMetrics(), map[string]int{}}
	for i := range d.rms.Len() {
		if id := text(d.rms.At(i).Resource().Attributes(), usage.AttrVMID); id != "" {
			d.known[id] = i
		}
	}
	return d
}

// Describe makes v what a says, of the resource as the metrics have it, or of
// what the announcement knows of it.
func (d *Describer) Describe(v *usage.Violation, a *threshold.Announcement) {
	fill(v, a)
	if at, ok := d.known[a.Subject.InstanceID]; ok && v.Rule.Per == usage.PerInstance {
		v.Instance.ReadResource(d.rms.At(at).Resource().Attributes())
		untag(&v.Instance)
	}
}

// untag takes out what a Checker put on the resource.
func untag(i *usage.Instance) {
	kept := i.Labels[:0]
	for _, l := range i.Labels {
		if l.Key != AttrLevel && l.Key != AttrRules {
			kept = append(kept, l)
		}
	}
	i.Labels = kept
}

// fill makes v what a says.
func fill(v *usage.Violation, a *threshold.Announcement) {
	v.Reset()
	v.Instance.UserID, v.Instance.OrgID = a.Subject.UserID, a.Subject.OrgID
	if a.Rule.Per == "" || a.Rule.Per == threshold.PerInstance {
		v.Instance.ID = a.Subject.InstanceID
	}
	for _, l := range a.Subject.Labels {
		v.Instance.Labels = append(v.Instance.Labels, usage.Label{Key: l.Key, Value: l.Value})
	}
	r := a.Rule
	v.Rule.ID, v.Rule.Description = r.ID, r.Description
	v.Rule.Resource, v.Rule.Metric = string(r.Resource), r.Metric
	v.Rule.Type, v.Rule.Unit, v.Rule.Direction = string(r.Type), r.Unit, string(r.Direction)
	v.Rule.Warning, v.Rule.HasWarning = r.Warning, r.HasWarning
	v.Rule.Critical, v.Rule.HasCritical = r.Critical, r.HasCritical
	v.Rule.Clear, v.Rule.HasClear = r.Clear, r.HasClear
	v.Rule.Window, v.Rule.Per, v.Rule.Action = string(r.Window), string(r.Per), r.Action
	if r.Per == "" {
		v.Rule.Per = usage.PerInstance
	}
	if r.Calendar() && r.Timezone != nil {
		v.Rule.Timezone = r.Timezone.String()
	}
	v.Rule.Channels = append(v.Rule.Channels, r.Channels...)
	for _, l := range r.Labels {
		v.Rule.Labels = append(v.Rule.Labels, usage.Label{Key: l.Key, Value: l.Value})
	}
	v.ID, v.Episode = a.ID, a.Episode
	v.Reason = string(a.Reason)
	v.State, v.Level, v.Series = usage.ViolationState(a.State), usage.ThresholdLevel(a.Level), a.Series
	v.Value, v.Threshold, v.Ratio, v.Limit = a.Value, a.Threshold, a.Ratio, a.Limit
	v.At, v.Since, v.Count, v.Suppressed = a.At, a.Since, a.Count, a.Suppressed
	v.WindowStart, v.WindowEnd = a.WindowStart, a.WindowEnd
}
