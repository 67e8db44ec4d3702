package wire

import (
	"encoding/binary"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// AppendPeriod appends all of p.
func AppendPeriod(dst []byte, p *usage.Period) []byte {
	dst = appendInstance(dst, &p.Instance)
	for _, v := range [...]int64{p.Flavor.VCPUs, p.Flavor.MemoryBytes, p.Flavor.StorageBytes, p.Flavor.GPUs} {
		dst = binary.AppendVarint(dst, v)
	}
	dst = append(dst, p.Stream.ID[:]...)
	dst = AppendString(dst, p.Stream.Source)
	dst = AppendString(dst, p.Stream.HostID)
	dst = AppendString(dst, p.Stream.Run)
	dst = binary.AppendVarint(dst, p.Stream.Start)
	dst = binary.AppendUvarint(dst, p.Sequence)
	dst = binary.AppendUvarint(dst, uint64(p.Joined))
	dst = binary.AppendVarint(dst, p.Start)
	dst = binary.AppendVarint(dst, p.End)
	dst = binary.AppendVarint(dst, p.Duration)
	dst = binary.AppendUvarint(dst, uint64(p.Metered))
	for m := range p.Metered.All() {
		dst = binary.AppendVarint(dst, p.Usage[m])
		dst = binary.AppendVarint(dst, p.Totals[m])
		dst = append(dst, byte(p.Quality[m]))
		dst = binary.AppendVarint(dst, int64(p.Coverage[m]))
	}
	dst = binary.AppendUvarint(dst, uint64(len(p.Devices)))
	for i := range p.Devices {
		d := &p.Devices[i]
		dst = append(dst, byte(d.Class))
		dst = AppendString(dst, d.ID)
		dst = AppendString(dst, d.Model)
		for _, v := range d.Amounts {
			dst = binary.AppendVarint(dst, v)
		}
	}
	for u := range p.Stats {
		s := &p.Stats[u]
		dst = AppendBool(dst, s.Valid)
		dst = binary.AppendVarint(dst, s.Avg)
		dst = binary.AppendVarint(dst, s.Max)
	}
	dst = AppendBool(dst, p.ClockStepped)
	return AppendBool(dst, p.Final)
}

func appendInstance(dst []byte, i *usage.Instance) []byte {
	for _, s := range [...]string{i.ID, i.Name, i.Hypervisor, i.HostID, i.HostName, i.UserID, i.OrgID} {
		dst = AppendString(dst, s)
	}
	dst = binary.AppendUvarint(dst, uint64(len(i.Labels)))
	for _, l := range i.Labels {
		dst = AppendString(AppendString(dst, l.Key), l.Value)
	}
	return dst
}

// Period reads what AppendPeriod wrote.
func (d *Decoder) Period(p *usage.Period) {
	p.Reset()
	d.instance(&p.Instance)
	p.Flavor = usage.Flavor{VCPUs: d.Int(), MemoryBytes: d.Int(), StorageBytes: d.Int(), GPUs: d.Int()}
	d.Bytes(p.Stream.ID[:])
	p.Stream.Source, p.Stream.HostID, p.Stream.Run = d.String(), d.String(), d.String()
	p.Stream.Start = d.Int()
	p.Sequence = d.Uint()
	p.Joined = uint32(d.Uint()) //nolint:gosec // written from 32 bits
	p.Start, p.End, p.Duration = d.Int(), d.Int(), d.Int()
	p.Metered = usage.MeterSet(d.Uint()) & (1<<usage.NumMeters - 1) //nolint:gosec // masked
	for m := range p.Coverage {
		p.Coverage[m] = usage.FullCoverage
	}
	for m := range p.Metered.All() {
		p.Usage[m], p.Totals[m] = d.Int(), d.Int()
		p.Quality[m] = min(usage.Quality(d.Byte()), usage.Gap)
		p.Coverage[m] = int32(d.Int()) //nolint:gosec // written from 32 bits
	}
	for range d.Count() {
		u := usage.DeviceUsage{Class: min(usage.Class(d.Byte()), usage.NumClasses-1), ID: d.String(), Model: d.String()}
		for i := range u.Amounts {
			u.Amounts[i] = d.Int()
		}
		p.Devices = append(p.Devices, u)
	}
	for u := range p.Stats {
		p.Stats[u] = usage.Statistic{Valid: d.Bool(), Avg: d.Int(), Max: d.Int()}
	}
	p.ClockStepped, p.Final = d.Bool(), d.Bool()
}

func (d *Decoder) instance(i *usage.Instance) {
	for _, s := range [...]*string{&i.ID, &i.Name, &i.Hypervisor, &i.HostID, &i.HostName, &i.UserID, &i.OrgID} {
		*s = d.String()
	}
	for range d.Count() {
		i.Labels = append(i.Labels, usage.Label{Key: d.String(), Value: d.String()})
	}
}
