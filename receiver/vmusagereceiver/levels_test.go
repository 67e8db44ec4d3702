package vmusagereceiver

import (
	"flag"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/golden"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatatest/pmetrictest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/host/hosttest"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/metadata"
)

var update = flag.Bool("update", false, "write the golden files of this package")

// TestGolden meters the root of each machine for one period, in which nothing is
// used, and compares all that the receiver emits. File systems are left out:
// what statfs says of a fixture is this machine's.
func TestGolden(t *testing.T) {
	for _, name := range hosttest.Fixtures() {
		t.Run(name, func(t *testing.T) {
			root := hosttest.Unpack(t, name)
			bubble(t, func(t *testing.T) {
				cfg := createDefaultConfig().(*Config)
				cfg.Jitter = 0
				cfg.Instance = InstanceConfig{ID: "vm-1", Name: "one", UserID: "u", OrgID: "o", Labels: map[string]string{"env": "test"}}
				h := cfg.Host.GetOrInsertDefault()
				h.RootPath = root
				h.Filesystems.Types.Exclude = []string{"*"}
				require.NoError(t, cfg.Validate())
				sink := &consumertest.MetricsSink{}
				v, err := newReceiver(receivertest.NewNopSettings(metadata.Type), cfg, sink)
				require.NoError(t, err)
				v.clock, v.newID = fakeClock, countedIDs()
				require.NoError(t, v.Start(t.Context(), componenttest.NewNopHost()))
				time.Sleep(23 * time.Second)
				synctest.Wait()
				require.NoError(t, v.Shutdown(t.Context()))

				var levels, usages pmetric.Metrics
				for _, md := range sink.AllMetrics() {
					if usage.IsUsage(md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Name()) {
						usages = md
					} else {
						levels = md
					}
				}
				compare(t, name+"-levels.yaml", levels)
				if name == "small_vm" {
					compare(t, name+"-usage.yaml", usages)
				}
			})
		})
	}
}

func compare(t *testing.T, file string, got pmetric.Metrics) {
	t.Helper()
	path := filepath.Join("testdata", "golden", file)
	if *update {
		require.NoError(t, golden.WriteMetricsToFile(path, got, golden.SkipMetricTimestampNormalization()))
	}
	want, err := golden.ReadMetrics(path)
	require.NoError(t, err)
	assert.NoError(t, pmetrictest.CompareMetrics(want, got, pmetrictest.IgnoreMetricDataPointsOrder()))
}
