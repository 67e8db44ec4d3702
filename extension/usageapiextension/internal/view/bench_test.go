package view_test

import (
	"testing"
	"time"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store/storetest"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/view"
	"github.com/vmusage/otelcol-vmusage/internal/usage"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

func BenchmarkAppendInstance(b *testing.B) {
	s := store.New(store.Settings{MaxInstances: 1, MaxBytes: 1 << 20, Retain: time.Hour, Now: time.Now})
	m := storetest.Machine(1)
	s.Consume(m.Levels(30e9))
	md := pmetric.NewMetrics()
	usage.AppendPeriod(md.ResourceMetrics(), m.Period(1, 0, 30e9))
	s.Consume(md)
	s.Consume(m.Levels(40e9))
	e := s.Get(m.Instance.ID)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		e.Read(func(d *store.Data) { buf = view.AppendInstance(buf[:0], e.ID(), d, view.AllFields, true) })
	}
	b.SetBytes(int64(len(buf)))
}
