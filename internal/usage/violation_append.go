package usage

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// AppendViolation appends one ResourceMetrics that holds v and nothing else.
// Equal violations give equal metrics.
func AppendViolation(rms pmetric.ResourceMetricsSlice, v *Violation) {
	rm := rms.AppendEmpty()
	if v.Rule.Per == PerInstance {
		PutResource(rm.Resource(), &v.Instance)
	} else {
		PutOwner(rm.Resource(), &v.Instance)
	}
	sm := rm.ScopeMetrics().AppendEmpty()
	sm.Scope().SetName(Scope)
	AppendViolationPoint(ViolationPoints(sm.Metrics()), v)
}

// PutOwner writes whom an owner's usage as a whole is of: what [PutResource]
// writes, and vm.id only where there is one.
func PutOwner(res pcommon.Resource, i *Instance) {
	a := res.Attributes()
	a.EnsureCapacity(7 + len(i.Labels))
	putStr(a, AttrVMID, i.ID)
	putRest(a, i)
}

// ViolationPoints appends an empty vm.threshold.violation and returns its points.
func ViolationPoints(ms pmetric.MetricSlice) pmetric.NumberDataPointSlice {
	m := ms.AppendEmpty()
	m.SetName(MetricViolation)
	m.SetDescription("What there is to say about a rule: it is violated, its level changed, it still is, it is over")
	m.SetUnit("1")
	return m.SetEmptyGauge().DataPoints()
}

// AppendViolationPoint appends v to points whose resource is v.Instance.
func AppendViolationPoint(dps pmetric.NumberDataPointSlice, v *Violation) {
	dp := dps.AppendEmpty()
	dp.SetTimestamp(pcommon.Timestamp(v.At)) //nolint:gosec // unix ns
	dp.SetDoubleValue(v.Value)

	a := dp.Attributes()
	a.EnsureCapacity(31)
	a.PutInt(attrViolationVersion, violationVersion)
	var id [36]byte
	a.PutStr(attrViolationID, string(appendUUID(id[:0], v.ID)))
	a.PutStr(attrEpisode, string(appendUUID(id[:0], v.Episode)))
	a.PutStr(attrState, string(v.State))
	putStr(a, attrStateReason, v.Reason)
	a.PutStr(attrLevel, v.Level.String())
	putStr(a, AttrSeries, v.Series)
	a.PutDouble(attrThreshold, v.Threshold)
	a.PutDouble(attrRatio, v.Ratio)
	if v.Limit != 0 {
		a.PutDouble(attrLimit, v.Limit)
	}
	a.PutInt(attrSince, v.Since)
	a.PutInt(attrCount, int64(v.Count))
	if v.Suppressed > 0 {
		a.PutInt(attrSuppressed, int64(v.Suppressed))
	}
	if v.Rule.Window != "" {
		a.PutInt(attrWindowStart, v.WindowStart)
		a.PutInt(attrWindowEnd, v.WindowEnd)
	}
	v.Rule.put(a)
}

func (r *ViolationRule) put(a pcommon.Map) {
	a.PutStr(AttrRuleID, r.ID)
	putStr(a, attrRuleDescription, r.Description)
	putStr(a, attrRuleResource, r.Resource)
	putStr(a, attrRuleMetric, r.Metric)
	a.PutStr(attrRuleType, r.Type)
	putStr(a, attrRuleUnit, r.Unit)
	a.PutStr(attrRuleDirection, r.Direction)
	for _, l := range [...]struct {
		key   string
		value float64
		has   bool
	}{{attrRuleWarning, r.Warning, r.HasWarning}, {attrRuleCritical, r.Critical, r.HasCritical}, {attrRuleClear, r.Clear, r.HasClear}} {
		if l.has {
			a.PutDouble(l.key, l.value)
		}
	}
	putStr(a, attrRuleWindow, r.Window)
	putStr(a, attrRuleTimezone, r.Timezone)
	a.PutStr(attrRulePer, r.Per)
	putStr(a, attrRuleAction, r.Action)
	if len(r.Channels) > 0 {
		s := a.PutEmptySlice(attrRuleChannels)
		s.EnsureCapacity(len(r.Channels))
		for _, c := range r.Channels {
			s.AppendEmpty().SetStr(c)
		}
	}
	if len(r.Labels) > 0 {
		m := a.PutEmptyMap(attrRuleLabels)
		m.EnsureCapacity(len(r.Labels))
		for _, l := range r.Labels {
			m.PutStr(l.Key, l.Value)
		}
	}
}

// A ThresholdState is where an instance stands with a rule.
type ThresholdState struct {
	Rule   string // its id
	Series string // as in [Violation]
	Level  ThresholdLevel
	At     int64 // unix ns of the data
}

// AppendThresholdStates appends vm.threshold.state with a point for each state,
// and nothing where there is none. The metrics are those of a resource that is
// the instance, or the owner.
func AppendThresholdStates(ms pmetric.MetricSlice, states []ThresholdState) {
	if len(states) == 0 {
		return
	}
	m := ms.AppendEmpty()
	m.SetName(MetricThresholdState)
	m.SetDescription("Level of each rule: 0 is ok, 1 is warning, 2 is critical")
	m.SetUnit("1")
	dps := m.SetEmptyGauge().DataPoints()
	dps.EnsureCapacity(len(states))
	for i := range states {
		s := &states[i]
		dp := dps.AppendEmpty()
		dp.SetTimestamp(pcommon.Timestamp(s.At)) //nolint:gosec // unix ns
		dp.SetIntValue(int64(s.Level))
		a := dp.Attributes()
		if s.Series != "" {
			a.EnsureCapacity(2)
		} else {
			a.EnsureCapacity(1)
		}
		a.PutStr(AttrRuleID, s.Rule)
		putStr(a, AttrSeries, s.Series)
	}
}
