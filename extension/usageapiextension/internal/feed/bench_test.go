package feed

import (
	"context"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store/storetest"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// A sink takes all events or none, and knows the marks that were set alone.
type sink struct {
	takes bool
	marks map[[16]byte]webhook.Mark
	body  []byte
	bytes int64
}

func (s *sink) Offer(_ *webhook.Event, _ webhook.Mark, payload func([]byte) []byte) webhook.Outcome {
	if !s.takes {
		return webhook.Unwanted
	}
	s.body = payload(s.body[:0])
	s.bytes += int64(len(s.body))
	return webhook.Accepted
}

func (s *sink) Known(key [16]byte) (m webhook.Mark, ok bool) {
	m, ok = s.marks[key]
	return m, ok
}
func (s *sink) Set(m webhook.Mark)     { s.marks[m.Key] = m }
func (s *sink) Commit(context.Context) {}

// BenchmarkConsume is of what the ledger hands over at once: the periods of 400 instances, and
// their levels.
func BenchmarkConsume(b *testing.B) {
	const instances = 400
	periods, levels := pmetric.NewMetrics(), pmetric.NewMetrics()
	st := store.New(store.Settings{MaxInstances: instances, MaxBytes: 1 << 30, Retain: time.Hour, Now: time.Now})
	for i := range instances {
		m := storetest.Machine(i)
		usage.AppendPeriod(periods.ResourceMetrics(), m.Period(2, 0, 30*second))
		m.Levels(30 * second).ResourceMetrics().MoveAndAppendTo(levels.ResourceMetrics())
	}
	st.Consume(levels)
	st.Consume(periods)
	for _, bb := range []struct {
		name  string
		types []webhook.Type
		takes bool
		md    pmetric.Metrics
	}{
		{"periods/no hooks", nil, false, periods},
		{"periods/hooks that do not match", []webhook.Type{webhook.ResourceUsage}, false, periods},
		{"periods/hooks that match", []webhook.Type{webhook.ResourceUsage}, true, periods},
		{"periods/lifecycle without change", []webhook.Type{webhook.InstanceLifecycle}, true, periods},
		{"periods/hooks of levels", []webhook.Type{webhook.Metrics}, false, periods},
		{"levels/no hooks", nil, false, levels},
		{"levels/hooks that do not match", []webhook.Type{webhook.Metrics}, false, levels},
		{"levels/hooks that match", []webhook.Type{webhook.Metrics}, true, levels},
		{"levels/hooks of usage", []webhook.Type{webhook.ResourceUsage, webhook.InstanceLifecycle}, false, levels},
	} {
		b.Run(bb.name, func(b *testing.B) {
			s := &sink{takes: bb.takes, marks: map[[16]byte]webhook.Mark{}}
			wants := map[webhook.Type]bool{}
			for _, t := range bb.types {
				wants[t] = true
			}
			f := New(Settings{
				Wants: func(t webhook.Type) bool { return wants[t] }, Begin: func() Batch { return s },
				Store: st, MetricsInterval: 10 * time.Second, MaxInstances: instances,
			})
			n := int64(0)
			b.ReportAllocs()
			for b.Loop() {
				clear(f.told)
				f.Consume(b.Context(), bb.md)
				n++
			}
			b.SetBytes(s.bytes / n)
		})
	}
}
