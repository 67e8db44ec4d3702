package event

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// A source makes periods that keep the promises of a closed period and are
// otherwise as unlikely as can be. Equal seeds make equal periods.
type source struct {
	*rand.Rand
	text string // mixed into strings
}

func newSource(seed uint64, text string) source {
	return source{rand.New(rand.NewPCG(seed, 1)), text} //nolint:gosec // not for secrets
}

// amount returns at most limit, with all magnitudes equally likely.
func (s source) amount(limit int64) int64 {
	switch s.IntN(8) {
	case 0:
		return 0
	case 1:
		return limit
	case 2:
		return limit - limit/3
	default:
		return s.Int64() >> s.IntN(63) % max(limit, 1)
	}
}

func (s source) string() string {
	pool := [...]string{
		"", "eth0", "6f1f9f4c-1d3c-4c43-9c6e-0d6c2f6a9b11", "Grüße, 世界 🚀", "<script>&</script>", `"\/`,
		"\x00\x01\x1f\x7f\b\f\n\r\t", "\u2028\u2029\u202a", "\xff\xc3", "\xed\xa0\x80\xf4\x90\x80\x80", "\ufffd\ufeff",
		"aaaaaaa\"", "aaaaaaaa\\", "aaaaaaaaaaaaaaa\x1f", "12345678", "1234567\x80", "!#[]^\x7f ~",
		s.text,
	}
	return pool[s.IntN(len(pool))] + pool[s.IntN(len(pool))]
}

func (s source) flip() bool { return s.IntN(2) == 0 }

func (s source) period() *usage.Period {
	const most = math.MaxInt64
	p := &usage.Period{
		Instance: usage.Instance{
			ID: "vm" + s.string(), Name: s.string(), Hypervisor: s.string(), HostID: s.string(),
			HostName: s.string(), UserID: s.string(), OrgID: s.string(),
		},
		Flavor:   usage.Flavor{VCPUs: s.amount(most), MemoryBytes: s.amount(most), StorageBytes: s.amount(most), GPUs: s.amount(64)},
		Stream:   usage.Stream{Source: s.string(), HostID: s.string(), Run: s.string(), Start: s.amount(most)},
		Sequence: uint64(max(1, s.amount(most))),
		End:      s.amount(most),
		Duration: s.amount(most),
	}
	p.Start = s.amount(p.End)
	p.Joined = uint32(s.amount(int64(min(p.Sequence, math.MaxUint32))))
	for i := range p.Stream.ID {
		p.Stream.ID[i] = byte(s.Uint32())
	}
	for range s.IntN(4) {
		p.Instance.Labels = append(p.Instance.Labels, usage.Label{Key: s.string(), Value: s.string()})
	}
	p.ClockStepped, p.Final = s.flip(), s.flip()
	s.meters(p)
	s.devices(p)
	for u := range p.Stats {
		if s.flip() {
			p.Stats[u] = usage.Statistic{Avg: s.amount(most), Max: s.amount(2e6), Valid: true}
		}
	}
	return p
}

func (s source) meters(p *usage.Period) {
	calm := s.flip() // nothing but measured
	for m := range usage.NumMeters {
		p.Coverage[m] = usage.FullCoverage
		if s.IntN(4) == 0 {
			continue
		}
		p.Metered.Add(m)
		p.Totals[m] = s.amount(math.MaxInt64)
		p.Usage[m] = s.amount(p.Totals[m])
		if !calm && s.flip() {
			p.Quality[m] = usage.Quality(s.IntN(int(usage.NumQualities)))
			p.Coverage[m] = int32(s.amount(usage.FullCoverage))
		}
	}
}

func (s source) devices(p *usage.Period) {
	for c := range usage.NumClasses {
		for range s.IntN(3) {
			d := usage.DeviceUsage{Class: c, ID: s.string()}
			if c == usage.GPU {
				d.Model = s.string()
			}
			for i := range d.Amounts {
				if p.Metered.Has(c.Meter(i)) {
					d.Amounts[i] = s.amount(math.MaxInt64)
				}
			}
			p.Devices = append(p.Devices, d)
		}
	}
}

// decoded returns p as a decoder sees it: what is no UTF-8 has become U+FFFD,
// byte by byte.
func decoded(p *usage.Period) *usage.Period {
	d := *p
	for _, s := range []*string{
		&d.Instance.ID, &d.Instance.Name, &d.Instance.Hypervisor, &d.Instance.HostID, &d.Instance.HostName,
		&d.Instance.UserID, &d.Instance.OrgID, &d.Stream.Source, &d.Stream.HostID, &d.Stream.Run,
	} {
		*s = string([]rune(*s))
	}
	if d.Joined == 1 {
		d.Joined = 0 // they mean the same
	}
	d.Instance.Labels = slices.Clone(p.Instance.Labels)
	for i, l := range d.Instance.Labels {
		d.Instance.Labels[i] = usage.Label{Key: string([]rune(l.Key)), Value: string([]rune(l.Value))}
	}
	d.Devices = slices.Clone(p.Devices)
	for i := range d.Devices {
		d.Devices[i].ID, d.Devices[i].Model = string([]rune(d.Devices[i].ID)), string([]rune(d.Devices[i].Model))
	}
	return &d
}
