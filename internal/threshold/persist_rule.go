package threshold

import (
	"encoding/binary"
	"time"

	"github.com/vmusage/otelcol-vmusage/internal/wire"
)

// append writes what an announcement needs of a rule, so that an episode whose
// rule went while the collector was down can be resolved where it was announced,
// and time can pass before rules are loaded. The selector, the description and the
// attributes are not among that.
func (r *Rule) append(b []byte) []byte {
	for _, s := range [...]string{
		r.ID, string(r.Resource), r.Metric, string(r.Type), r.Unit, string(r.Direction), string(r.NoData),
		string(r.Window), string(r.Per), r.Action, string(r.Source),
	} {
		b = wire.AppendString(b, s)
	}
	for _, f := range [...]float64{r.Scale, r.Limit, r.Warning, r.Critical, r.Clear} {
		b = wire.AppendFloat(b, f)
	}
	for _, has := range [...]bool{r.HasWarning, r.HasCritical, r.HasClear} {
		b = wire.AppendBool(b, has)
	}
	for _, d := range [...]time.Duration{r.For, r.KeepFiringFor, r.RepeatInterval, r.NoDataAfter} {
		b = binary.AppendVarint(b, int64(d))
	}
	b = binary.AppendUvarint(b, uint64(len(r.Channels)))
	for _, c := range r.Channels {
		b = wire.AppendString(b, c)
	}
	b = appendLabels(b, r.Labels)
	m := r.Measure
	if m == nil {
		m = &Measure{}
	}
	b = wire.AppendString(wire.AppendString(b, m.Metric), m.Unit)
	return wire.AppendBool(append(b, byte(m.Combine)), m.PerSecond)
}

func decodeRule(d *wire.Decoder) *Rule {
	r := &Rule{Enabled: true, Timezone: time.UTC}
	r.ID, r.Resource, r.Metric, r.Type, r.Unit = d.String(), Resource(d.String()), d.String(), Type(d.String()), d.String()
	r.Direction, r.NoData, r.Window, r.Per = Direction(d.String()), NoData(d.String()), Window(d.String()), Per(d.String())
	r.Action, r.Source = d.String(), Source(d.String())
	for _, f := range [...]*float64{&r.Scale, &r.Limit, &r.Warning, &r.Critical, &r.Clear} {
		*f = d.Float()
	}
	for _, has := range [...]*bool{&r.HasWarning, &r.HasCritical, &r.HasClear} {
		*has = d.Bool()
	}
	for _, t := range [...]*time.Duration{&r.For, &r.KeepFiringFor, &r.RepeatInterval, &r.NoDataAfter} {
		*t = max(0, time.Duration(d.Int()))
	}
	for range d.Count() {
		r.Channels = append(r.Channels, d.String())
	}
	r.Labels = decodeLabels(d)
	r.Measure = &Measure{Metric: d.String(), Unit: d.String(), Combine: min(Combine(d.Byte()), Times), PerSecond: d.Bool()}
	return r
}

func decodeLabels(d *wire.Decoder) []Label {
	var labels []Label
	for range d.Count() {
		labels = append(labels, Label{Key: d.String(), Value: d.String()})
	}
	return labels
}
