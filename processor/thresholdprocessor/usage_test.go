package thresholdprocessor

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

// Whatever a period violates, and however that is marked, its event is the same
// to the byte: it may be offered again when it is not violated any more.
func TestEventsAreTheSameWhateverIsViolated(t *testing.T) {
	const rules = `
rules:
  - {id: any-egress, resource: network_egress, type: absolute, unit: By/s, warning: 0.001}
  - {id: all-disk, resource: disk_io, type: percentage, limit: 1, unit: By, warning: 1, critical: 2, window: day}
  - {id: cpu, resource: cpu, type: percentage, warning: 0.001, window: hour}
  - {id: running, metric: vm.usage.running, type: absolute, unit: us, critical: 1, window: period}
  - {id: energy, metric: vm.usage.disk.operations, attributes: {disk.io.direction: read}, type: absolute, unit: "{operation}", critical: 1, window: month}
`
	for _, tag := range []string{"data_point", "resource", "none"} {
		t.Run(tag, func(t *testing.T) {
			cfg, err := parseConfig(t, "tag: "+tag+rules)
			require.NoError(t, err)
			var s sink
			d := deploy(t, cfg, "", nil, s.consume)
			md := pmetric.NewMetrics()
			usage.AppendPeriod(md.ResourceMetrics(), usagetest.Host(1))
			before := events(t, md)
			require.NoError(t, d.processors[0].ConsumeMetrics(t.Context(), md))
			out := s.all()[0]
			assert.Equal(t, 5, violations(out))
			require.Len(t, before, 4)
			assert.Equal(t, before, events(t, out))
			_, marked := out.ResourceMetrics().At(0).Resource().Attributes().Get("threshold.level")
			assert.False(t, marked)
			d.stop(t)
		})
	}
}

// events returns the usage events of metrics in each version, and their ids.
func events(t testing.TB, md pmetric.Metrics) (all []string) {
	t.Helper()
	var r usage.Reader
	for _, rm := range md.ResourceMetrics().All() {
		require.NoError(t, r.Read(rm, func(p *usage.Period) error {
			for _, v := range []event.Version{event.V1_0, event.V1_1} {
				all = append(all, string(event.AppendUsage(nil, v, p)), event.ID(p).String())
			}
			return nil
		}))
	}
	return all
}
