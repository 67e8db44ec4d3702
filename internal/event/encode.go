package event

import (
	"slices"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// The meters of which the metrics of 1.0 are made.
const (
	shownInstance usage.MeterSet = 1<<usage.CPUTime | 1<<usage.VCPUProvisioned |
		1<<usage.Memory | 1<<usage.MemoryProvisioned | 1<<usage.Storage
	shownDevices usage.MeterSet = 1<<usage.NetworkTransmitBytes | 1<<usage.NetworkReceiveBytes | 1<<usage.GPUActive
)

// Emits reports whether a period becomes an event of version v. In 1.0, which
// cannot say that a value is not known, it does not where one of the values that
// 1.0 shows has a gap; in 1.1 it always does.
func Emits(v Version, p *usage.Period) bool {
	return v != V1_0 || qualitiesOf(p).gaps&(shownInstance|shownDevices) == 0
}

// qualities sums up how well the meters of a period were measured.
type qualities struct {
	worst      usage.Quality
	least      int32          // coverage
	gaps       usage.MeterSet // not known
	exceptions usage.MeterSet // anything but measured all the time
}

func qualitiesOf(p *usage.Period) qualities {
	q := qualities{least: usage.FullCoverage}
	for m := range p.Metered.All() {
		quality, coverage := p.Quality[m], p.Coverage[m]
		if quality == usage.Measured && coverage == usage.FullCoverage {
			continue
		}
		q.exceptions.Add(m)
		q.worst, q.least = max(q.worst, quality), min(q.least, coverage)
		if quality == usage.Gap {
			q.gaps.Add(m)
		}
	}
	return q
}

// AppendUsage appends the resource_usage event of p in version v to dst: one
// line of JSON without a line feed. Equal periods give equal bytes. It neither
// keeps nor changes p, and does not allocate where dst has room.
//
// p must be a closed period: an id, no negative amounts, devices in order. Ask
// [Emits] first: where it says no, a 1.0 event would show a gap as a value.
func AppendUsage(dst []byte, v Version, p *usage.Period) []byte {
	dst = slices.Grow(dst, sizeHint(v, p))
	dst = append(dst, `{"event_type":"resource_usage","version":"`...)
	dst = append(dst, v.String()...)
	if v != V1_0 {
		dst = append(dst, `","event_id":`...)
		dst = appendUUID(dst, ID(p))
		dst = append(dst, `,"timestamp":`...)
	} else {
		dst = append(dst, `","timestamp":`...)
	}
	dst = appendInt(dst, floorDiv(p.End, 1e9))
	dst = append(dst, `,"instance_id":`...)
	dst = appendString(dst, p.Instance.ID)
	dst = append(dst, `,"user_id":`...)
	dst = appendString(dst, p.Instance.UserID)
	dst = append(dst, `,"org_id":`...)
	if p.Instance.OrgID == "" {
		dst = append(dst, `null`...)
	} else {
		dst = appendString(dst, p.Instance.OrgID)
	}

	var q qualities
	var unknown usage.MeterSet
	if v != V1_0 {
		q = qualitiesOf(p)
		unknown = q.gaps | shownInstance&^p.Metered
		if p.Metered.HasClass(usage.GPU) && !p.Metered.Has(usage.GPUActive) {
			unknown.Add(usage.GPUActive) // there are GPUs, and none says how active it is
		}
	}
	dst = append(dst, `,"metrics":{`...)
	dst = appendMetrics(dst, p, unknown)
	dst = append(dst, `},"period":{"start":`...)
	dst = appendInt(dst, floorDiv(p.Start, 1e9))
	dst = append(dst, `,"end":`...)
	dst = appendInt(dst, floorDiv(p.End, 1e9))
	if v != V1_0 {
		dst = appendExact(dst, p, &q)
	} else {
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// sizeHint returns about how long an event is, so that an empty buffer grows once.
func sizeHint(v Version, p *usage.Period) int {
	if v == V1_0 {
		return 512
	}
	return 2560 + 160*len(p.Devices) + 64*len(p.Instance.Labels)
}

// appendMetrics appends the metrics of 1.0. Those made of an unknown meter are null.
func appendMetrics(dst []byte, p *usage.Period, unknown usage.MeterSet) []byte {
	u := &p.Usage
	if dst = append(dst, `"cpu_seconds":`...); unknown.Has(usage.CPUTime) {
		dst = append(dst, `null`...)
	} else {
		dst = appendInt(dst, wholeSeconds(p.Totals[usage.CPUTime], u[usage.CPUTime]))
	}
	if dst = append(dst, `,"cpu_percent_avg":`...); unknown&(1<<usage.CPUTime|1<<usage.VCPUProvisioned) != 0 {
		dst = append(dst, `null`...)
	} else {
		dst = appendRatio(dst, natural(u[usage.CPUTime]), 100*million, natural(u[usage.VCPUProvisioned]))
	}
	if dst = append(dst, `,"memory_gb":`...); unknown.Has(usage.Memory) {
		dst = append(dst, `null`...)
	} else {
		dst = appendAverageGiB(dst, u[usage.Memory], p.Duration)
	}
	if dst = append(dst, `,"memory_percent":`...); unknown&(1<<usage.Memory|1<<usage.MemoryProvisioned) != 0 {
		dst = append(dst, `null`...)
	} else {
		dst = appendRatio(dst, natural(u[usage.Memory]), 100*million, natural(u[usage.MemoryProvisioned]))
	}
	if dst = append(dst, `,"storage_gb":`...); unknown.Has(usage.Storage) {
		dst = append(dst, `null`...)
	} else {
		dst = appendAverageGiB(dst, u[usage.Storage], p.Duration)
	}
	if dst = append(dst, `,"network_egress_mb":`...); unknown.Has(usage.NetworkTransmitBytes) {
		dst = append(dst, `null`...)
	} else {
		dst = appendMiB(dst, u[usage.NetworkTransmitBytes])
	}
	if dst = append(dst, `,"network_ingress_mb":`...); unknown.Has(usage.NetworkReceiveBytes) {
		dst = append(dst, `null`...)
	} else {
		dst = appendMiB(dst, u[usage.NetworkReceiveBytes])
	}
	if dst = append(dst, `,"gpu_seconds":`...); unknown.Has(usage.GPUActive) {
		dst = append(dst, `null`...)
	} else {
		dst = appendInt(dst, wholeSeconds(p.Totals[usage.GPUActive], u[usage.GPUActive]))
	}
	return dst
}

// appendAverageGiB appends the GiB that an amount of MiBy.s is on average over ns.
// In millionths it is amount / 1024 * 1e9 / ns * 1e6.
func appendAverageGiB(dst []byte, amount, ns int64) []byte {
	const factor = 1_000_000_000 * million / 1024 // no remainder
	return appendRatio(dst, natural(amount), factor, natural(ns))
}

// appendMiB appends bytes as MiB.
func appendMiB(dst []byte, bytes int64) []byte {
	return appendRatio(dst, natural(bytes), million, 1<<20)
}
