package event

import (
	"math"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// exact reads what 1.1 added; e holds what 1.0 has.
func (o object) exact(e *Event) *usage.Period {
	stream, instance, host := o.object("stream"), o.object("instance"), o.object("host")
	p := &usage.Period{
		Instance: usage.Instance{
			ID:         e.InstanceID,
			Name:       instance.text("name"),
			Hypervisor: instance.text("hypervisor"),
			HostID:     host.text("id"),
			HostName:   host.text("name"),
			UserID:     e.UserID,
			OrgID:      e.OrgID,
			Labels:     o.labels(),
		},
		Flavor: usage.Flavor{
			VCPUs:        instance.amount("vcpus"),
			MemoryBytes:  instance.amount("memory_bytes"),
			StorageBytes: instance.amount("storage_bytes"),
			GPUs:         instance.amount("gpus"),
		},
		Stream: usage.Stream{
			ID:     stream.uuid("id"),
			Source: stream.text("source"),
			HostID: stream.text("host"),
			Run:    stream.text("run"),
			Start:  stream.integer("start"),
		},
	}
	period := o.object("period")
	period.bounds(p)
	p.Metered, p.Usage = o.object("usage").amounts()
	metered, totals := o.object("totals").amounts()
	p.Totals = totals
	for m := range (metered ^ p.Metered).All() {
		o.fail("totals", "and usage have different meters: %s is in one only", m.Info().Field)
	}
	period.quality(p)
	p.Devices = o.object("devices").devices(p.Metered)
	o.object("stats").stats(p)
	return p
}

// bounds reads which period of its stream it is.
func (o object) bounds(p *usage.Period) {
	p.Start, p.End = o.integer("start_ns"), o.integer("end_ns")
	if p.End < p.Start {
		o.fail("end_ns", "is %d, before start_ns, which is %d", p.End, p.Start)
	}
	p.Duration = o.amount("duration_ns")
	sequence := o.integer("sequence")
	if sequence < 1 {
		o.fail("sequence", "is %d, want at least 1", sequence)
	}
	p.Sequence = uint64(max(sequence, 0)) //nolint:gosec // not negative
	p.Joined = o.joined(sequence)
	p.ClockStepped, p.Final = o.flag("clock_stepped"), o.flag("final")
}

// joined reads a field that is only there when it is more than one.
func (o object) joined(sequence int64) uint32 {
	if !o.has("joined") {
		return 0
	}
	v := o.integer("joined")
	if most := min(sequence, math.MaxUint32); v < 2 || v > most {
		o.fail("joined", "is %d, want 2 to %d: the sequence is %d", v, most, sequence)
		return 0
	}
	return uint32(v) //nolint:gosec // at most MaxUint32
}

// quality reads the exceptions; what is not named was measured all the time. The
// worst and the least are checked only: they can be due to a meter of a later minor.
func (o object) quality(p *usage.Period) {
	o.qualityOf()
	for m := range p.Coverage {
		p.Coverage[m] = usage.FullCoverage
	}
	if !o.has("meters") {
		return
	}
	meters := o.object("meters")
	for m := range p.Metered.All() {
		if meters.has(m.String()) {
			p.Quality[m], p.Coverage[m] = meters.object(m.String()).qualityOf()
		}
	}
}

func (o object) qualityOf() (usage.Quality, int32) {
	s := o.text("quality")
	q, ok := usage.ParseQuality(s)
	if !ok {
		o.fail("quality", "is %q, want measured, recovered or gap", s)
	}
	c := o.millionths("coverage")
	if c > usage.FullCoverage {
		raw, _ := o.raw("coverage")
		o.fail("coverage", "is %s, want at most 1", raw)
		c = 0
	}
	return q, int32(c) //nolint:gosec // at most FullCoverage
}

// amounts reads the amounts of the meters that this package knows.
func (o object) amounts() (metered usage.MeterSet, a usage.Amounts) {
	for m := range usage.NumMeters {
		field := m.Info().Field
		if o.has(field) {
			metered.Add(m)
			a[m] = o.amount(field)
		}
	}
	return metered, a
}

func (o object) devices(metered usage.MeterSet) []usage.DeviceUsage {
	var all []usage.DeviceUsage
	for c := range usage.NumClasses {
		for _, device := range o.list(classKeys[c]) {
			d := usage.DeviceUsage{Class: c, ID: device.text("id")}
			if c == usage.GPU {
				d.Model = device.text("model")
			}
			for i := range d.Amounts {
				if metered.Has(c.Meter(i)) {
					d.Amounts[i] = device.amount(deviceKey(c, i))
				}
			}
			all = append(all, d)
		}
	}
	return all
}

func (o object) stats(p *usage.Period) {
	for u, key := range statKeys {
		if o.has(key) {
			stat := o.object(key)
			p.Stats[u] = usage.Statistic{Avg: stat.millionths("avg"), Max: stat.millionths("max"), Valid: true}
		}
	}
}

// labels reads them in the order in which they are written.
func (o object) labels() []usage.Label {
	var all []usage.Label
	for _, m := range o.object("labels").all() {
		if m.value[0] != '"' {
			o.fail("labels", "has a value that is no string: %q", m.key)
			return nil
		}
		all = append(all, usage.Label{Key: string(m.key), Value: unquote(m.value)})
	}
	return all
}
