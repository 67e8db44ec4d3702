package usage

import (
	"fmt"
	"math"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// readSequence fills in what a vm.usage.sequence point says. Attributes that it
// does not know are of a newer version and passed over.
func (p *readPeriod) readSequence(dp pmetric.NumberDataPoint) *PeriodError {
	bad := func(format string, args ...any) *PeriodError {
		return &PeriodError{Reason: ReasonSequence, Detail: fmt.Sprintf(format, args...)}
	}
	if v, ok := dp.Attributes().Get(attrVersion); ok && (v.Type() != pcommon.ValueTypeInt || v.Int() != ContractVersion) {
		return &PeriodError{Reason: ReasonVersion, Detail: fmt.Sprintf("%s is %s, and %d is what can be read here: update this collector, then send it again", attrVersion, v.AsString(), ContractVersion)}
	}
	if dp.ValueType() != pmetric.NumberDataPointValueTypeInt || dp.IntValue() < 1 {
		return bad("the sequence is %v, want an integer of at least 1", valueOf(dp))
	}
	p.Sequence = uint64(dp.IntValue())
	p.want = -1
	var idOK bool
	for k, v := range dp.Attributes().All() {
		switch k {
		case attrStream:
			p.Stream.ID, idOK = parseUUID(v.AsString())
		case attrStreamStart:
			p.Stream.Start = v.Int()
		case attrSource:
			p.Stream.Source = v.AsString()
		case attrStreamHost:
			p.Stream.HostID = v.AsString()
		case attrRun:
			p.Stream.Run = v.AsString()
		case attrDuration:
			p.Duration = v.Int()
		case attrPoints:
			p.want = v.Int()
		case attrFlavor:
			p.readFlavor(v)
		case attrTotals, attrQuality, attrCoverage:
			if err := p.readByMeter(k, v); err != "" {
				return bad("%s", err)
			}
		case attrClockStepped:
			p.ClockStepped = v.Bool()
		case attrFinal:
			p.Final = v.Bool()
		case attrJoined:
			most := min(p.Sequence, math.MaxUint32)
			if v.Type() != pcommon.ValueTypeInt || v.Int() < 2 || uint64(v.Int()) > most {
				return bad("%s is %s, want an integer of 2 to %d", attrJoined, v.AsString(), most)
			}
			p.Joined = uint32(v.Int()) //nolint:gosec // at most MaxUint32
		}
	}
	switch {
	case !idOK:
		return bad("%s is missing or not a UUID", attrStream)
	case p.want < 0:
		return bad("%s is missing", attrPoints)
	case p.Metered == 0:
		return bad("%s is missing", attrTotals)
	}
	return nil
}

func (p *readPeriod) readFlavor(v pcommon.Value) {
	if v.Type() != pcommon.ValueTypeMap {
		return
	}
	for k, v := range v.Map().All() {
		switch k {
		case flavorVCPUs:
			p.Flavor.VCPUs = v.Int()
		case flavorMemory:
			p.Flavor.MemoryBytes = v.Int()
		case flavorStorage:
			p.Flavor.StorageBytes = v.Int()
		case flavorGPUs:
			p.Flavor.GPUs = v.Int()
		}
	}
}

// readByMeter reads one of the maps from meter keys and returns what is wrong with it.
func (p *readPeriod) readByMeter(key string, v pcommon.Value) string {
	if v.Type() != pcommon.ValueTypeMap {
		return key + " is not a map"
	}
	next := Meter(0)
	for name, v := range v.Map().All() {
		m, known := meterOfKey(name, next)
		if !known {
			continue
		}
		next = m + 1
		switch key {
		case attrTotals:
			if v.Type() != pcommon.ValueTypeInt || v.Int() < 0 {
				return fmt.Sprintf("%s of %s is %s, want an integer of at least 0", key, name, v.AsString())
			}
			p.Metered.Add(m)
			p.Totals[m] = v.Int()
		case attrQuality:
			q, ok := ParseQuality(v.AsString())
			if !ok {
				return fmt.Sprintf("%s of %s is %q, want measured, recovered or gap", key, name, v.AsString())
			}
			p.Quality[m] = q
		case attrCoverage:
			if v.Type() != pcommon.ValueTypeInt || v.Int() < 0 || v.Int() > FullCoverage {
				return fmt.Sprintf("%s of %s is %s, want 0 to %d", key, name, v.AsString(), FullCoverage)
			}
			p.Coverage[m] = int32(v.Int()) //nolint:gosec // within 0..FullCoverage
		}
	}
	return ""
}

func (p *readPeriod) statistic(dp pmetric.NumberDataPoint) {
	var name, kind string
	for k, v := range dp.Attributes().All() {
		switch k {
		case attrUtilization:
			name = v.AsString()
		case attrStatistic:
			kind = v.AsString()
		}
	}
	for u := range NumUtilizations {
		if utilizationNames[u] != name {
			continue
		}
		v := dp.DoubleValue()
		if math.IsNaN(v) || v < 0 || v > 1e6 {
			p.spoil(ReasonValue, fmt.Sprintf("%s of %s is %v", kind, name, v))
			return
		}
		s := &p.Stats[u]
		s.Valid = true
		switch kind {
		case statisticAvg:
			s.Avg = int64(math.Round(v * 1e6))
		case statisticMax:
			s.Max = int64(math.Round(v * 1e6))
		}
	}
}
