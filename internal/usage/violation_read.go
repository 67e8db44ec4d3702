package usage

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Reasons of a [ViolationError].
const (
	ReasonViolationVersion Reason = "violation_version" // of a version that this reader does not know
	ReasonViolationSubject Reason = "violation_subject" // no vm.id, or no owner where it is about one
	ReasonViolationTorn    Reason = "violation_torn"    // an attribute is missing or of another kind
	ReasonViolationValue   Reason = "violation_value"   // a value that it cannot have
)

// A ViolationError is a violation that cannot be used, and why.
type ViolationError struct {
	Reason   Reason
	Instance string // vm.id, if any
	Rule     string // its id, if any
	Detail   string
}

func (e *ViolationError) Error() string {
	return fmt.Sprintf("violation of rule %q by instance %q: %s: %s", e.Rule, e.Instance, e.Reason, e.Detail)
}

// HasViolations reports whether rm has a metric of violations.
func HasViolations(rm pmetric.ResourceMetrics) bool {
	for _, sm := range rm.ScopeMetrics().All() {
		for _, m := range sm.Metrics().All() {
			if m.Name() == MetricViolation {
				return true
			}
		}
	}
	return false
}

// A ViolationReader turns metrics back into violations. It keeps its memory
// between calls; it is not safe for concurrent use. The zero value is ready.
type ViolationReader struct {
	instance Instance
	v        Violation
	errs     []error
}

// Read visits every violation in rm, in the order of the points. What is
// something else is passed over. The violation handed to visit is valid until it
// returns. An error of visit ends the reading and is returned as is; otherwise
// the error joins one [ViolationError] for each that cannot be used, after all
// others were visited.
func (r *ViolationReader) Read(rm pmetric.ResourceMetrics, visit func(*Violation) error) error {
	r.errs = r.errs[:0]
	known := false // who it is about
	for _, sm := range rm.ScopeMetrics().All() {
		for _, m := range sm.Metrics().All() {
			if m.Name() != MetricViolation {
				continue
			}
			if !known {
				r.instance.ReadResource(rm.Resource().Attributes())
				known = true
			}
			if m.Type() != pmetric.MetricTypeGauge {
				r.errs = append(r.errs, &ViolationError{
					Reason: ReasonViolationTorn, Instance: r.instance.ID, Detail: MetricViolation + " is a " + m.Type().String() + ", want a Gauge",
				})
				continue
			}
			for _, dp := range m.Gauge().DataPoints().All() {
				if err := r.point(dp); err != nil {
					r.errs = append(r.errs, err)
				} else if err := visit(&r.v); err != nil {
					return err
				}
			}
		}
	}
	return errors.Join(r.errs...)
}

// point reads one point into r.v.
func (r *ViolationReader) point(dp pmetric.NumberDataPoint) error {
	v := &r.v
	labels := v.Instance.Labels
	v.Reset()
	v.Instance = r.instance
	v.Instance.Labels = append(labels[:0], r.instance.Labels...)
	v.At = int64(dp.Timestamp()) //nolint:gosec // checked not to be negative
	switch dp.ValueType() {
	case pmetric.NumberDataPointValueTypeDouble:
		v.Value = dp.DoubleValue()
	case pmetric.NumberDataPointValueTypeInt: // from a pipeline that turns whole doubles into integers
		v.Value = float64(dp.IntValue())
	case pmetric.NumberDataPointValueTypeEmpty:
		v.Value = math.NaN()
	}
	p := violationPoint{v: v, attrs: dp.Attributes()}
	reason, detail := p.read()
	if reason == "" {
		return nil
	}
	return &ViolationError{Reason: reason, Instance: v.Instance.ID, Rule: v.Rule.ID, Detail: detail}
}

// A violationPoint is one point while it is read. It keeps the first thing that
// is wrong.
type violationPoint struct {
	v     *Violation
	attrs pcommon.Map
	torn  string
}

func (p *violationPoint) read() (Reason, string) {
	version := p.integer(attrViolationVersion, math.MaxInt64)
	if p.torn == "" && version != violationVersion {
		return ReasonViolationVersion, fmt.Sprintf("%s is %d, and %d is what can be read here: update this collector, then send it again", attrViolationVersion, version, violationVersion)
	}
	v := p.v
	v.Rule.ID = p.text(AttrRuleID)
	v.ID, v.Episode = p.uuid(attrViolationID), p.uuid(attrEpisode)
	v.State = ViolationState(p.text(attrState))
	v.Reason = p.optionalText(attrStateReason)
	level, known := ParseThresholdLevel(p.text(attrLevel))
	v.Level = level
	if !known {
		p.wrong(attrLevel, "want warning or critical")
	}
	v.Series = p.optionalText(AttrSeries)
	v.Threshold, v.Ratio = p.double(attrThreshold), p.double(attrRatio)
	v.Limit, _ = p.optionalDouble(attrLimit)
	v.Since = p.integer(attrSince, math.MaxInt64)
	v.Count = uint32(p.integer(attrCount, math.MaxUint32)) //nolint:gosec // within its bounds
	if _, ok := p.attrs.Get(attrSuppressed); ok {
		v.Suppressed = uint32(p.integer(attrSuppressed, math.MaxUint32)) //nolint:gosec // within its bounds
	}
	p.rule()
	if v.Rule.Window != "" {
		v.WindowStart, v.WindowEnd = p.integer(attrWindowStart, math.MaxInt64), p.integer(attrWindowEnd, math.MaxInt64)
	}
	if p.torn != "" {
		return ReasonViolationTorn, p.torn
	}
	if field, problem := v.Check(); problem != "" {
		return ReasonViolationValue, "its " + field + " " + problem
	}
	if v.Subject() == "" {
		return ReasonViolationSubject, "it is about an " + v.Rule.Per + " and the resource has no " +
			map[string]string{PerInstance: AttrVMID, PerUser: AttrUserID, PerOrg: AttrOrgID}[v.Rule.Per]
	}
	return "", ""
}

func (p *violationPoint) rule() {
	r := &p.v.Rule
	r.Description = p.optionalText(attrRuleDescription)
	r.Resource, r.Metric = p.optionalText(attrRuleResource), p.optionalText(attrRuleMetric)
	r.Type, r.Direction, r.Per = p.text(attrRuleType), p.text(attrRuleDirection), p.text(attrRulePer)
	r.Unit = p.optionalText(attrRuleUnit)
	r.Warning, r.HasWarning = p.optionalDouble(attrRuleWarning)
	r.Critical, r.HasCritical = p.optionalDouble(attrRuleCritical)
	r.Clear, r.HasClear = p.optionalDouble(attrRuleClear)
	r.Window, r.Timezone = p.optionalText(attrRuleWindow), p.optionalText(attrRuleTimezone)
	r.Action = p.optionalText(attrRuleAction)
	if c, ok := p.attrs.Get(attrRuleChannels); ok {
		if c.Type() != pcommon.ValueTypeSlice {
			p.wrong(attrRuleChannels, "want a slice of strings")
			return
		}
		for _, c := range c.Slice().All() {
			r.Channels = append(r.Channels, c.AsString())
		}
	}
	if l, ok := p.attrs.Get(attrRuleLabels); ok {
		if l.Type() != pcommon.ValueTypeMap {
			p.wrong(attrRuleLabels, "want a map to strings")
			return
		}
		for k, l := range l.Map().All() {
			r.Labels = append(r.Labels, Label{k, l.AsString()})
		}
	}
}

func (p *violationPoint) fail(text string) {
	if p.torn == "" {
		p.torn = text
	}
}

// wrong says what an attribute is and what it should be.
func (p *violationPoint) wrong(key, want string) {
	if v, ok := p.attrs.Get(key); ok {
		p.fail(key + " is " + quoted(v.AsString()) + ", " + want)
	} else {
		p.fail(key + " is missing")
	}
}

func (p *violationPoint) text(key string) string {
	v, ok := p.attrs.Get(key)
	if !ok || v.Type() != pcommon.ValueTypeStr {
		p.wrong(key, "want a string")
		return ""
	}
	return v.Str()
}

func (p *violationPoint) optionalText(key string) string {
	if _, ok := p.attrs.Get(key); !ok {
		return ""
	}
	return p.text(key)
}

func (p *violationPoint) uuid(key string) [16]byte {
	id, ok := parseUUID(p.text(key))
	if !ok {
		p.wrong(key, "want a UUID")
	}
	return id
}

// integer reads an integer that is never negative.
func (p *violationPoint) integer(key string, most int64) int64 {
	v, ok := p.attrs.Get(key)
	if !ok || v.Type() != pcommon.ValueTypeInt || v.Int() < 0 || v.Int() > most {
		p.wrong(key, "want an integer of 0 to "+strconv.FormatInt(most, 10))
		return 0
	}
	return v.Int()
}

func (p *violationPoint) double(key string) float64 {
	v, ok := p.attrs.Get(key)
	if ok && v.Type() == pcommon.ValueTypeDouble {
		return v.Double()
	}
	if ok && v.Type() == pcommon.ValueTypeInt { // as with the point's value
		return float64(v.Int())
	}
	p.wrong(key, "want a number")
	return 0
}

func (p *violationPoint) optionalDouble(key string) (value float64, ok bool) {
	if _, ok := p.attrs.Get(key); !ok {
		return 0, false
	}
	return p.double(key), true
}

func problemIf(bad bool, problem string) string {
	if bad {
		return problem
	}
	return ""
}

func notFinite(f float64) string {
	return problemIf(math.IsNaN(f) || math.IsInf(f, 0), "is not a finite number")
}

// quoted shows a value that anyone may have sent.
func quoted(s string) string {
	const most = 40
	if len(s) > most {
		return strconv.Quote(s[:most]) + "..."
	}
	return strconv.Quote(s)
}
