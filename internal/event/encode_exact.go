package event

import "github.com/vmusage/otelcol-vmusage/internal/usage"

// appendExact appends what 1.1 adds, from within the period object on and up to
// the end of the labels.
func appendExact(dst []byte, p *usage.Period, q *qualities) []byte {
	dst = appendPeriod(dst, p, q)
	dst = append(dst, `},"stream":{"id":`...)
	dst = appendUUID(dst, p.Stream.ID)
	dst = append(dst, `,"source":`...)
	dst = appendString(dst, p.Stream.Source)
	dst = append(dst, `,"host":`...)
	dst = appendString(dst, p.Stream.HostID)
	dst = append(dst, `,"run":`...)
	dst = appendString(dst, p.Stream.Run)
	dst = append(dst, `,"start":`...)
	dst = appendInt(dst, p.Stream.Start)
	dst = append(dst, `},"usage":`...)
	dst = appendAmounts(dst, p.Metered, &p.Usage)
	dst = append(dst, `,"totals":`...)
	dst = appendAmounts(dst, p.Metered, &p.Totals)
	dst = append(dst, `,"devices":`...)
	dst = appendDevices(dst, p)
	dst = append(dst, `,"stats":`...)
	dst = appendStats(dst, p)
	return appendWho(dst, p)
}

func appendPeriod(dst []byte, p *usage.Period, q *qualities) []byte {
	dst = append(dst, `,"start_ns":`...)
	dst = appendInt(dst, p.Start)
	dst = append(dst, `,"end_ns":`...)
	dst = appendInt(dst, p.End)
	dst = append(dst, `,"duration_ns":`...)
	dst = appendInt(dst, p.Duration)
	dst = append(dst, `,"sequence":`...)
	dst = appendUint(dst, p.Sequence)
	if p.Joined > 1 {
		dst = append(dst, `,"joined":`...)
		dst = appendUint(dst, uint64(p.Joined))
	}
	dst = appendQuality(dst, q.worst, q.least)
	if p.ClockStepped {
		dst = append(dst, `,"clock_stepped":true`...)
	}
	if p.Final {
		dst = append(dst, `,"final":true`...)
	}
	if q.exceptions == 0 {
		return dst
	}
	dst = append(dst, `,"meters":`...)
	open := len(dst)
	for m := range q.exceptions.All() {
		dst = append(dst, ',', '"')
		dst = append(dst, m.String()...)
		dst = append(dst, `":`...)
		member := len(dst)
		dst = appendQuality(dst, p.Quality[m], p.Coverage[m])
		dst = closeObject(dst, member)
	}
	return closeObject(dst, open)
}

func appendQuality(dst []byte, q usage.Quality, coverage int32) []byte {
	dst = append(dst, `,"quality":"`...)
	dst = append(dst, q.String()...)
	dst = append(dst, `","coverage":`...)
	return appendMillionths(dst, 0, natural(int64(coverage)))
}

func appendAmounts(dst []byte, metered usage.MeterSet, a *usage.Amounts) []byte {
	open := len(dst)
	for m := range usage.NumMeters {
		if metered.Has(m) {
			dst = members.amounts[m].append(dst)
			dst = appendInt(dst, a[m])
		}
	}
	return closeObject(dst, open)
}

// appendDevices appends the classes that have devices.
func appendDevices(dst []byte, p *usage.Period) []byte {
	open := len(dst)
	for c, key := range classKeys {
		list := false
		for k := range p.Devices {
			d := &p.Devices[k]
			switch {
			case int(d.Class) != c:
				continue
			case list:
				dst = append(dst, ',')
			default:
				dst = append(dst, ',', '"')
				dst = append(dst, key...)
				dst = append(dst, `":[`...)
				list = true
			}
			dst = appendDevice(dst, p.Metered, d)
		}
		if list {
			dst = append(dst, ']')
		}
	}
	return closeObject(dst, open)
}

// appendDevice appends what the instance is metered for, as everywhere.
func appendDevice(dst []byte, metered usage.MeterSet, d *usage.DeviceUsage) []byte {
	dst = append(dst, `{"id":`...)
	dst = appendString(dst, d.ID)
	if d.Class == usage.GPU {
		dst = append(dst, `,"model":`...)
		dst = appendString(dst, d.Model)
	}
	keys := &members.devices[d.Class]
	for i, amount := range d.Amounts {
		if metered.Has(d.Class.Meter(i)) {
			dst = keys[i].append(dst)
			dst = appendInt(dst, amount)
		}
	}
	return append(dst, '}')
}

func appendStats(dst []byte, p *usage.Period) []byte {
	open := len(dst)
	for u, key := range statKeys {
		s := &p.Stats[u]
		if !s.Valid {
			continue
		}
		dst = append(dst, ',', '"')
		dst = append(dst, key...)
		dst = append(dst, `":{"avg":`...)
		dst = appendMillionths(dst, 0, natural(s.Avg))
		dst = append(dst, `,"max":`...)
		dst = appendMillionths(dst, 0, natural(s.Max))
		dst = append(dst, '}')
	}
	return closeObject(dst, open)
}

func appendWho(dst []byte, p *usage.Period) []byte {
	dst = append(dst, `,"instance":{"name":`...)
	dst = appendString(dst, p.Instance.Name)
	dst = append(dst, `,"hypervisor":`...)
	dst = appendString(dst, p.Instance.Hypervisor)
	dst = append(dst, `,"vcpus":`...)
	dst = appendInt(dst, p.Flavor.VCPUs)
	dst = append(dst, `,"memory_bytes":`...)
	dst = appendInt(dst, p.Flavor.MemoryBytes)
	dst = append(dst, `,"storage_bytes":`...)
	dst = appendInt(dst, p.Flavor.StorageBytes)
	dst = append(dst, `,"gpus":`...)
	dst = appendInt(dst, p.Flavor.GPUs)
	dst = append(dst, `},"host":{"id":`...)
	dst = appendString(dst, p.Instance.HostID)
	dst = append(dst, `,"name":`...)
	dst = appendString(dst, p.Instance.HostName)
	dst = append(dst, `},"labels":`...)
	open := len(dst)
	for i := range p.Instance.Labels {
		dst = append(dst, ',')
		dst = appendString(dst, p.Instance.Labels[i].Key)
		dst = append(dst, ':')
		dst = appendString(dst, p.Instance.Labels[i].Value)
	}
	return closeObject(dst, open)
}
