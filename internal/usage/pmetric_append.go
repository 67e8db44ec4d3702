package usage

import (
	"encoding/hex"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// PutResource writes who the instance is and who owns it into the resource:
// the attributes that every metric of an instance has, level or usage.
func PutResource(res pcommon.Resource, i *Instance) {
	a := res.Attributes()
	a.EnsureCapacity(7 + len(i.Labels))
	a.PutStr(AttrVMID, i.ID)
	putRest(a, i)
}

// putRest writes all but the id.
func putRest(a pcommon.Map, i *Instance) {
	putStr(a, AttrVMName, i.Name)
	putStr(a, AttrHypervisor, i.Hypervisor)
	putStr(a, AttrHostID, i.HostID)
	putStr(a, AttrHostName, i.HostName)
	putStr(a, AttrUserID, i.UserID)
	putStr(a, AttrOrgID, i.OrgID)
	for _, l := range i.Labels {
		a.PutStr(l.Key, l.Value)
	}
}

func putStr(a pcommon.Map, key, value string) {
	if value != "" {
		a.PutStr(key, value)
	}
}

// AppendPeriod appends one ResourceMetrics that holds the whole of p: delta
// sums with the period's bounds, a sequence point that makes a torn period
// noticeable, and the statistics. Equal periods give equal metrics.
func AppendPeriod(rms pmetric.ResourceMetricsSlice, p *Period) {
	rm := rms.AppendEmpty()
	PutResource(rm.Resource(), &p.Instance)
	sm := rm.ScopeMetrics().AppendEmpty()
	sm.Scope().SetName(Scope)
	w := periodWriter{period: p, metrics: sm.Metrics()}
	w.metrics.EnsureCapacity(int(NumMeters))

	for m := range p.Metered.All() {
		if _, _, device := m.Device(); !device {
			w.point(w.sum(m), p.Usage[m])
		}
	}
	for c := range NumClasses {
		if p.Metered.HasClass(c) {
			w.devices(c)
		}
	}
	w.statistics()
	w.sequence()
}

// periodWriter counts the points that it writes.
type periodWriter struct {
	period  *Period
	metrics pmetric.MetricSlice
	points  int64
}

func (w *periodWriter) sum(m Meter) pmetric.NumberDataPointSlice {
	return appendSum(w.metrics, MetricPrefix, m, pmetric.AggregationTemporalityDelta)
}

func (w *periodWriter) point(dps pmetric.NumberDataPointSlice, value int64) pmetric.NumberDataPoint {
	dp := w.stamp(dps)
	dp.SetIntValue(value)
	w.points++
	return dp
}

func (w *periodWriter) stamp(dps pmetric.NumberDataPointSlice) pmetric.NumberDataPoint {
	dp := dps.AppendEmpty()
	dp.SetStartTimestamp(pcommon.Timestamp(w.period.Start))
	dp.SetTimestamp(pcommon.Timestamp(w.period.End))
	return dp
}

// devices writes the metrics of one class, as far as the instance is metered for
// them. Two meters in a row that share a metric differ by direction.
func (w *periodWriter) devices(c Class) {
	deviceKey, directionKey := c.DeviceAttributes()
	var dps pmetric.NumberDataPointSlice
	metric := ""
	for i := range DeviceMeters {
		info := c.Meter(i).Info()
		if !w.period.Metered.Has(c.Meter(i)) {
			continue
		}
		if info.Metric != metric {
			metric, dps = info.Metric, w.sum(c.Meter(i))
		}
		for k := range w.period.Devices {
			d := &w.period.Devices[k]
			if d.Class != c {
				continue
			}
			a := w.point(dps, d.Amounts[i]).Attributes()
			a.EnsureCapacity(2)
			a.PutStr(deviceKey, d.ID)
			if directionKey != "" {
				a.PutStr(directionKey, info.Direction)
			}
			putStr(a, AttrHardwareModel, d.Model)
		}
	}
}

func (w *periodWriter) statistics() {
	var dps pmetric.NumberDataPointSlice
	first := true
	for u := range NumUtilizations {
		s := w.period.Stats[u]
		if !s.Valid {
			continue
		}
		if first {
			m := w.metrics.AppendEmpty()
			m.SetName(MetricStatistics)
			m.SetDescription("Time-weighted average and maximum of a utilization within the period")
			m.SetUnit("1")
			dps, first = m.SetEmptyGauge().DataPoints(), false
		}
		for _, v := range [...]struct {
			name  string
			value int64
		}{{statisticAvg, s.Avg}, {statisticMax, s.Max}} {
			dp := w.stamp(dps)
			dp.SetDoubleValue(float64(v.value) / 1e6)
			dp.Attributes().PutStr(attrUtilization, u.String())
			dp.Attributes().PutStr(attrStatistic, v.name)
			w.points++
		}
	}
}

func (w *periodWriter) sequence() {
	p := w.period
	m := w.metrics.AppendEmpty()
	m.SetName(MetricSequence)
	m.SetDescription("Which period of which stream this is, and how well it was measured")
	m.SetUnit("1")
	dp := w.stamp(m.SetEmptyGauge().DataPoints())
	dp.SetIntValue(int64(p.Sequence)) //nolint:gosec // a period every nanosecond lasts 292 years

	a := dp.Attributes()
	a.EnsureCapacity(14)
	a.PutInt(attrVersion, ContractVersion)
	var id [36]byte
	a.PutStr(attrStream, string(appendUUID(id[:0], p.Stream.ID)))
	a.PutInt(attrStreamStart, p.Stream.Start)
	a.PutStr(attrSource, p.Stream.Source)
	a.PutStr(attrStreamHost, p.Stream.HostID)
	a.PutStr(attrRun, p.Stream.Run)
	a.PutInt(attrDuration, p.Duration)
	a.PutInt(attrPoints, w.points)
	f := a.PutEmptyMap(attrFlavor)
	f.EnsureCapacity(4)
	f.PutInt(flavorVCPUs, p.Flavor.VCPUs)
	f.PutInt(flavorMemory, p.Flavor.MemoryBytes)
	f.PutInt(flavorStorage, p.Flavor.StorageBytes)
	f.PutInt(flavorGPUs, p.Flavor.GPUs)
	totals := a.PutEmptyMap(attrTotals)
	totals.EnsureCapacity(int(NumMeters))
	for m := range p.Metered.All() {
		totals.PutInt(m.String(), p.Totals[m])
	}
	w.exceptions(a)
}

// exceptions writes what is not as it should be, so that the normal case costs nothing.
func (w *periodWriter) exceptions(a pcommon.Map) {
	p := w.period
	if p.WorstQuality() != Measured {
		q := a.PutEmptyMap(attrQuality)
		for m := range p.Metered.All() {
			if p.Quality[m] != Measured {
				q.PutStr(m.String(), p.Quality[m].String())
			}
		}
	}
	if p.LeastCoverage() != FullCoverage {
		c := a.PutEmptyMap(attrCoverage)
		for m := range p.Metered.All() {
			if p.Coverage[m] != FullCoverage {
				c.PutInt(m.String(), int64(p.Coverage[m]))
			}
		}
	}
	if p.ClockStepped {
		a.PutBool(attrClockStepped, true)
	}
	if p.Final {
		a.PutBool(attrFinal, true)
	}
	if p.Joined > 1 {
		a.PutInt(attrJoined, int64(p.Joined))
	}
}

// appendSum appends a monotonic integer sum for m and returns its points.
func appendSum(ms pmetric.MetricSlice, prefix string, m Meter, t pmetric.AggregationTemporality) pmetric.NumberDataPointSlice {
	info := m.Info()
	metric := ms.AppendEmpty()
	metric.SetName(prefix + info.Metric)
	metric.SetDescription(info.Describe)
	metric.SetUnit(info.Unit)
	sum := metric.SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(t)
	return sum.DataPoints()
}

// AppendMetered appends the running totals of a stream as cumulative sums that
// began at start and hold at now (both unix ns): the billing truth for dashboards.
func AppendMetered(ms pmetric.MetricSlice, metered MeterSet, totals *Amounts, start, now int64) {
	var dps pmetric.NumberDataPointSlice
	last := ""
	for m := range metered.All() {
		info := m.Info()
		if info.Metric != last {
			dps = appendSum(ms, MeteredPrefix, m, pmetric.AggregationTemporalityCumulative)
			last = info.Metric
		}
		dp := dps.AppendEmpty()
		dp.SetStartTimestamp(pcommon.Timestamp(start))
		dp.SetTimestamp(pcommon.Timestamp(now))
		dp.SetIntValue(totals[m])
		if c, _, ok := m.Device(); ok && info.Direction != "" {
			_, directionKey := c.DeviceAttributes()
			dp.Attributes().PutStr(directionKey, info.Direction)
		}
	}
}

func appendUUID(dst []byte, id [16]byte) []byte {
	dst = hex.AppendEncode(dst, id[:4])
	for _, part := range [...][]byte{id[4:6], id[6:8], id[8:10], id[10:]} {
		dst = hex.AppendEncode(append(dst, '-'), part)
	}
	return dst
}
