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

func (s *statistics) add(u usage.Utilization, part, whole, dt int64) {
	if whole <= 0 || dt <= 0 {
		return
	}
	hi, lo := bits.Mul64(uint64(max(part, 0)), usage.FullCoverage)
	if hi >= uint64(whole) {
		return
	}
	q, _ := bits.Div64(hi, lo, uint64(whole))
	ppm := int64(min(q, usage.FullCoverage)) //nolint:gosec // at most FullCoverage: ticks may overshoot their interval
	e := &s[u]
	e.max = max(e.max, ppm)
	e.weight += dt
	e.sum += uint64(ppm) * uint64(dt/1000)
}

// sample adds the time dt between two readings. The CPU's utilization is over
// that time; a level is what held in it, and its newest value counts for the
// maximum too, since it is the one that somebody saw.
func (s *statistics) sample(dt int64, a *account, r *reading.Reading, before *usage.Amounts) {
	if r.Scanned.Has(usage.CPUTime) {
		s.add(usage.CPUUtilization, a.open.Usage[usage.CPUTime]-before[usage.CPUTime], max(a.open.Flavor.VCPUs, 1)*(dt/1000), dt)
	}
	for _, l := range [...]struct {
		u           usage.Utilization
		used, limit reading.LevelKind
	}{
		{usage.MemoryUtilization, reading.MemoryUsed, reading.MemoryLimit},
		{usage.StorageUtilization, reading.StorageUsed, reading.StorageLimit},
	} {
		if a.levels[l.used].Valid && a.levels[l.limit].Valid {
			s.add(l.u, a.levels[l.used].Bytes, a.levels[l.limit].Bytes, dt)
		}
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
