package usage

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/google/uuid"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// A Reason says why a period that arrived as metrics is not one. The set is
// closed, so that it can be an attribute of a self-metric.
type Reason string

// The reasons.
const (
	ReasonNoInstance Reason = "no_instance" // no vm.id
	ReasonNoSequence Reason = "no_sequence" // usage points without their vm.usage.sequence
	ReasonSequence   Reason = "sequence"    // a vm.usage.sequence that lacks or mangles something
	ReasonBounds     Reason = "bounds"      // the end is before the start
	ReasonTorn       Reason = "torn"        // points are missing or doubled
	ReasonValue      Reason = "value"       // an amount that no meter can have
	// ReasonVersion: it is of another [ContractVersion], and would be misread.
	ReasonVersion Reason = "schema_version"
)

// A PeriodError is a period that cannot be used, and why.
type PeriodError struct {
	Reason   Reason
	Instance string // vm.id, if any
	Detail   string
}

func (e *PeriodError) Error() string {
	return fmt.Sprintf("usage of instance %q: %s: %s", e.Instance, e.Reason, e.Detail)
}

// A Reader turns metrics back into periods. It keeps its memory between calls;
// it is not safe for concurrent use. The zero value is ready.
type Reader struct {
	instance Instance
	periods  []readPeriod
	foreign  bool // one of periods is of another version
	errs     []error
}

type readPeriod struct {
	Period
	want, seen int64
	bad        *PeriodError
}

// Read visits every usage period in rm. What is not usage is passed over, and a
// resource without usage visits nothing. The period handed to visit is valid
// until it returns. An error of visit ends the reading and is returned as is;
// otherwise the error joins one [PeriodError] for each period that cannot be
// used, after all others were visited.
func (r *Reader) Read(rm pmetric.ResourceMetrics, visit func(*Period) error) error {
	r.errs = r.errs[:0]
	if !r.sequences(rm) {
		return nil
	}
	r.instance.ReadResource(rm.Resource().Attributes())
	r.points(rm)
	for i := range r.periods {
		p := &r.periods[i]
		if err := p.check(&r.instance); err != nil {
			r.errs = append(r.errs, err)
			continue
		}
		p.sort()
		if err := visit(&p.Period); err != nil {
			return err
		}
	}
	return errors.Join(r.errs...)
}

// IsUsage reports whether a metric of that name belongs to usage.
func IsUsage(name string) bool { return strings.HasPrefix(name, MetricPrefix) }

// sequences opens a period for each sequence point and reports whether there is
// any usage at all.
func (r *Reader) sequences(rm pmetric.ResourceMetrics) bool {
	r.periods, r.foreign = r.periods[:0], false
	usage := false
	for _, sm := range rm.ScopeMetrics().All() {
		for _, m := range sm.Metrics().All() {
			name := m.Name()
			usage = usage || IsUsage(name)
			if name != MetricSequence || m.Type() != pmetric.MetricTypeGauge {
				continue
			}
			for _, dp := range m.Gauge().DataPoints().All() {
				p := r.open()
				p.Start, p.End = int64(dp.StartTimestamp()), int64(dp.Timestamp()) //nolint:gosec // checked as bounds
				p.bad = p.readSequence(dp)
				r.foreign = r.foreign || p.bad != nil && p.bad.Reason == ReasonVersion
			}
		}
	}
	return usage
}

func (r *Reader) open() *readPeriod {
	r.periods = slices.Grow(r.periods, 1)[:len(r.periods)+1]
	p := &r.periods[len(r.periods)-1]
	p.Reset()
	p.seen, p.want, p.bad = 0, 0, nil
	for m := range p.Coverage {
		p.Coverage[m] = FullCoverage
	}
	return p
}

// ReadResource replaces i by what the attributes of a resource say; what is none
// of its own names is a label. Labels keep their memory.
func (i *Instance) ReadResource(a pcommon.Map) {
	*i = Instance{Labels: i.Labels[:0]}
	for k, v := range a.All() {
		switch k {
		case AttrVMID:
			i.ID = v.AsString()
		case AttrVMName:
			i.Name = v.AsString()
		case AttrHypervisor:
			i.Hypervisor = v.AsString()
		case AttrHostID:
			i.HostID = v.AsString()
		case AttrHostName:
			i.HostName = v.AsString()
		case AttrUserID:
			i.UserID = v.AsString()
		case AttrOrgID:
			i.OrgID = v.AsString()
		default:
			i.Labels = append(i.Labels, Label{k, v.AsString()})
		}
	}
}

// points hands every usage point to the period with its bounds.
func (r *Reader) points(rm pmetric.ResourceMetrics) {
	next := Meter(0)
	for _, sm := range rm.ScopeMetrics().All() {
		for _, m := range sm.Metrics().All() {
			name := m.Name()
			if !IsUsage(name) || name == MetricSequence {
				continue
			}
			var dps pmetric.NumberDataPointSlice
			switch m.Type() {
			case pmetric.MetricTypeSum:
				dps = m.Sum().DataPoints()
			case pmetric.MetricTypeGauge:
				dps = m.Gauge().DataPoints()
			default:
				continue
			}
			metric := name[len(MetricPrefix):]
			base, known := meterOfMetric(metric, next)
			if known {
				next = base + 1
			}
			for _, dp := range dps.All() {
				r.point(metric, base, known, dp)
			}
		}
	}
}

// point takes a point of a metric, of which base is the first meter, if it is known.
func (r *Reader) point(metric string, base Meter, known bool, dp pmetric.NumberDataPoint) {
	start, end := int64(dp.StartTimestamp()), int64(dp.Timestamp()) //nolint:gosec // compared only
	for i := range r.periods {
		p := &r.periods[i]
		if p.Start != start || p.End != end {
			continue
		}
		p.seen++
		switch {
		case known:
			p.amount(metric, base, dp)
		case metric == MetricStatistics[len(MetricPrefix):]:
			p.statistic(dp)
		default: // of a newer version: counted, so that a torn period is still noticed
		}
		return
	}
	// Once for a resource, however many points; and what another version has for
	// bounds is not known.
	if len(r.errs) == 0 && !r.foreign {
		r.errs = append(r.errs, &PeriodError{
			ReasonNoSequence, r.instance.ID,
			fmt.Sprintf("%s%s has a point for [%d, %d) and no %s has these bounds", MetricPrefix, metric, start, end, MetricSequence),
		})
	}
}

func (p *readPeriod) amount(metric string, base Meter, dp pmetric.NumberDataPoint) {
	if dp.ValueType() != pmetric.NumberDataPointValueTypeInt || dp.IntValue() < 0 {
		p.spoil(ReasonValue, fmt.Sprintf("%s%s is %v, want an integer of at least 0", MetricPrefix, metric, valueOf(dp)))
		return
	}
	v := dp.IntValue()
	c, i, device := base.Device()
	if !device {
		p.add(base, v)
		return
	}
	deviceKey, directionKey := c.DeviceAttributes()
	var id, direction, model string
	for k, a := range dp.Attributes().All() {
		switch k {
		case deviceKey:
			id = a.AsString()
		case directionKey:
			direction = a.AsString()
		case AttrHardwareModel:
			model = a.AsString()
		}
	}
	m := base
	if directionKey != "" && base.Info().Direction != direction {
		m, i = base+1, i+1
		if m.Info().Direction != direction {
			p.spoil(ReasonValue, fmt.Sprintf("%s%s has the direction %q", MetricPrefix, metric, direction))
			return
		}
	}
	p.add(m, v)
	p.device(c, id, model).Amounts[i] += v
}

func (p *readPeriod) add(m Meter, v int64) {
	if p.Usage[m] > math.MaxInt64-v {
		p.spoil(ReasonValue, fmt.Sprintf("the sum of %s exceeds 64 bits", m))
		return
	}
	p.Usage[m] += v
}

func (p *readPeriod) device(c Class, id, model string) *DeviceUsage {
	for i := range p.Devices {
		if d := &p.Devices[i]; d.Class == c && d.ID == id {
			return d
		}
	}
	p.Devices = append(p.Devices, DeviceUsage{Class: c, ID: id, Model: model})
	return &p.Devices[len(p.Devices)-1]
}

func (p *readPeriod) spoil(r Reason, detail string) {
	if p.bad == nil {
		p.bad = &PeriodError{Reason: r, Detail: detail}
	}
}

func (p *readPeriod) check(i *Instance) error {
	switch {
	case i.ID == "":
		p.spoil(ReasonNoInstance, "the resource has no "+AttrVMID)
	case p.Start < 0 || p.End < p.Start || p.Duration < 0:
		p.spoil(ReasonBounds, fmt.Sprintf("[%d, %d) lasting %d ns", p.Start, p.End, p.Duration))
	case p.seen != p.want:
		p.spoil(ReasonTorn, fmt.Sprintf("%d points, want %d", p.seen, p.want))
	}
	if p.bad != nil {
		p.bad.Instance = i.ID
		return p.bad
	}
	p.Instance = *i
	return nil
}

func (p *readPeriod) sort() {
	slices.SortFunc(p.Devices, compareDevices)
}

func compareDevices(a, b DeviceUsage) int {
	if a.Class != b.Class {
		return int(a.Class) - int(b.Class)
	}
	return strings.Compare(a.ID, b.ID)
}

func valueOf(dp pmetric.NumberDataPoint) any {
	if dp.ValueType() == pmetric.NumberDataPointValueTypeInt {
		return dp.IntValue()
	}
	return dp.DoubleValue()
}

// meterOfMetric returns the first meter with that metric name. It looks at next
// first, and at those behind it: metrics mostly come in the order of meters.
func meterOfMetric(metric string, next Meter) (Meter, bool) {
	for i := range NumMeters {
		m := (next + i) % NumMeters
		if meterInfos[m].Metric != metric {
			continue
		}
		for m > 0 && meterInfos[m-1].Metric == metric {
			m--
		}
		return m, true
	}
	return 0, false
}

// meterOfKey returns the meter with that key. It looks at next first, and at
// those behind it.
func meterOfKey(key string, next Meter) (Meter, bool) {
	for i := range NumMeters {
		if m := (next + i) % NumMeters; meterInfos[m].Key == key {
			return m, true
		}
	}
	return 0, false
}

// parseUUID accepts the canonical form only: an id has one spelling.
func parseUUID(s string) (uuid.UUID, bool) {
	if len(s) != 36 {
		return uuid.UUID{}, false
	}
	id, err := uuid.Parse(s)
	return id, err == nil
}
