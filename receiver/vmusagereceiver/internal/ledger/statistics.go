package ledger

import (
	"math/bits"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// statistics are time-weighted: each utilization counts for as long as it was
// seen to hold, and what nobody sampled does not count.
type statistics [usage.NumUtilizations]struct {
	max    int64  // millionths
	weight int64  // ns
	sum    uint64 // millionths times us: 2^64 of them are months at 100 %
}

// unknown is a utilization that a sample did not see.
const unknown = -1

// millionths returns part of whole, at most all of it: ticks may overshoot their interval.
func millionths(part, whole int64) int64 {
	if whole <= 0 {
		return unknown
	}
	hi, lo := bits.Mul64(uint64(max(part, 0)), usage.FullCoverage)
	if hi >= uint64(whole) {
		return usage.FullCoverage
	}
	q, _ := bits.Div64(hi, lo, uint64(whole))
	return int64(min(q, usage.FullCoverage)) //nolint:gosec // at most FullCoverage
}

// sampled adds the time dt between two readings, before which the open period's
// CPU time and active time of GPUs were those given. The CPU's utilization is
// over that time; a level's is what held in it.
func (a *account) sampled(r *reading.Reading, dt, cpuBefore, gpuBefore int64, set *Settings) {
	var ppm [usage.NumUtilizations]int64
	for u := range ppm {
		ppm[u] = unknown
	}
	if r.Scanned.Has(usage.CPUTime) {
		ppm[usage.CPUUtilization] = millionths(a.open.Usage[usage.CPUTime]-cpuBefore, max(a.open.Flavor.VCPUs, 1)*(dt/1000))
	}
	for _, l := range [...]struct {
		u           usage.Utilization
		used, limit reading.LevelKind
	}{
		{usage.MemoryUtilization, reading.MemoryUsed, reading.MemoryLimit},
		{usage.StorageUtilization, reading.StorageUsed, reading.StorageLimit},
	} {
		if a.levels[l.used].Valid && a.levels[l.limit].Valid {
			ppm[l.u] = millionths(a.levels[l.used].Bytes, a.levels[l.limit].Bytes)
		}
	}
	// Over the time for which samples spoke: what nobody saw says nothing.
	ppm[usage.GPUUtilization] = millionths(a.open.Usage[usage.GPUActive]-gpuBefore, a.spoken)
	for u, v := range ppm {
		if v != unknown {
			e := &a.stats[u]
			e.max = max(e.max, v)
			e.weight += dt
			e.sum += uint64(v) * uint64(dt/1000)
		}
	}
	if set.Sampled != nil {
		set.Sampled(r.Instance.ID, r.At, dt, ppm)
	}
}

func (s *statistics) finish(p *usage.Period) {
	for u := range s {
		e := &s[u]
		p.Stats[u] = usage.Statistic{}
		if e.weight >= 1000 {
			p.Stats[u] = usage.Statistic{
				Avg:   int64(e.sum / uint64(e.weight/1000)), //nolint:gosec // at most FullCoverage
				Max:   e.max,
				Valid: true,
			}
		}
	}
}
