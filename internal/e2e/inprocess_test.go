package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

// publish writes one event of each instance by way of an exporter in this process.
func publish(t *testing.T, kafka string, instances []string) {
	t.Helper()
	f := usageeventexporter.NewFactory()
	c := f.CreateDefaultConfig().(*usageeventexporter.Config)
	c.Brokers = []string{kafka}
	e, err := f.CreateMetrics(t.Context(), exportertest.NewNopSettings(f.Type()), c)
	require.NoError(t, err)
	require.NoError(t, e.Start(t.Context(), componenttest.NewNopHost()))
	md := pmetric.NewMetrics()
	for i, id := range instances {
		p := usagetest.Host(uint64(i))
		p.Instance.ID = id
		usage.AppendPeriod(md.ResourceMetrics(), p)
	}
	require.NoError(t, e.ConsumeMetrics(t.Context(), md))
	require.NoError(t, e.Shutdown(t.Context()))
}
