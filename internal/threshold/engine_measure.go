package threshold

import (
	"hash/fnv"
	"strings"

	"github.com/vmusage/otelcol-vmusage/internal/wire"
)

// measure is a hash of what the rule measures, and over what. As long as that
// stays, episodes and amounts go on whatever else of the rule changes. It is
// written to storages.
func (r *Rule) measure() uint64 {
	b := make([]byte, 0, 256)
	for _, s := range [...]string{string(r.Resource), r.Metric, string(r.Window), string(r.Per)} {
		b = wire.AppendString(b, s)
	}
	for _, m := range r.Attributes {
		b = wire.AppendString(b, m.Key)
		for _, list := range [...][]string{m.Values.Exact, m.Values.Globs} {
			b = append(b, byte(len(list)), byte(len(list)>>8))
			for _, s := range list {
				b = wire.AppendString(b, s)
			}
		}
	}
	if m := r.Measure; m != nil {
		for _, s := range [...]string{m.Metric, m.Unit, m.Other, m.Series} {
			b = wire.AppendString(b, s)
		}
		b = wire.AppendBool(wire.AppendBool(append(b, byte(m.Combine)), m.Sum), m.PerSecond)
	}
	if r.Calendar() {
		b = wire.AppendString(b, r.zone().String())
	}
	h := fnv.New64a()
	h.Write(b)
	return h.Sum64()
}

// values is a hash of what a rule with a window judges by.
func (r *Rule) values() uint64 {
	b := append(make([]byte, 0, 64), r.Type...)
	for _, v := range [...]float64{r.Warning, r.Critical, r.Limit, r.Scale} {
		b = wire.AppendFloat(b, v)
	}
	b = wire.AppendBool(wire.AppendBool(b, r.HasWarning), r.HasCritical)
	h := fnv.New64a()
	h.Write(b)
	return h.Sum64()
}

func (k key) clone() key {
	return key{rule: k.rule, subject: strings.Clone(k.subject), series: strings.Clone(k.series)}
}
