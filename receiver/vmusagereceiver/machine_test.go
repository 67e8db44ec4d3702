package vmusagereceiver

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/confignet"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/vmusage/otelcol-vmusage/exporter/usageapiexporter"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/host/hosttest"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/metadata"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// TestTheMachineOverTheAPI has the way of each number, from /proc and /sys of a machine
// over the pipeline to GET /get. All are there, and none is 0.
func TestTheMachineOverTheAPI(t *testing.T) {
	root := hosttest.Unpack(t, "small_vm")
	cfg := createDefaultConfig().(*Config)
	cfg.Instance = InstanceConfig{ID: "vm-1", UserID: "user-1"}
	h := cfg.Host.GetOrInsertDefault()
	h.RootPath = root
	h.Filesystems.Types.Exclude = []string{"*"}
	require.NoError(t, cfg.Validate())
	now := reading.Instant{Boot: 5_000e9, Wall: 1_795_000_000e9}
	scrape, closing, err := newScrape(receivertest.NewNopSettings(metadata.Type), cfg, func() reading.Instant { return now })
	require.NoError(t, err)
	defer func() { require.NoError(t, closing()) }()
	take, get := machineAPI(t)

	take(scrape(t.Context()))
	now.Boot += 10e9
	now.Wall += 10e9
	hosttest.Put(t, root, "proc/stat", // 2.5 s of user time in 10 s of two CPUs
		"cpu  70081 12174 20754 1016898 2290 10 274 127 1000 200\ncpu0 34452 6144 9295 511092 319 5 37 58 500 100\n"+
			"cpu1 35629 6029 11458 505805 1971 5 236 68 500 100\nintr 0\n")
	take(scrape(t.Context()))
	assert.JSONEq(t, `{
	  "timestamp": 1795000010, "instance_id": "vm-1", "account_id": "user-1",
	  "cpu": {"usage_pct": 12.5, "process_count": 2},
	  "memory": {"total": 25276502016, "free": 20606418944, "available": 22881974272, "used": 2394527744,
	    "total_swap": 1073741824, "used_swap": 536870912},
	  "disks": [{"device_name": "vda",
	    "reads_completed": 290414, "reads_merged": 106715, "sectors_read": 11330098, "time_reading": 153673,
	    "writes_completed": 49547, "writes_merged": 108223, "sectors_written": 8692360, "time_writing": 31719,
	    "io_in_progress": 3, "time_doing_io": 35104, "weighted_time_doing_io": 188157}],
	  "network": {"interfaces": [{"name": "eth0",
	    "bytes_sent": 1993612, "bytes_received": 261308056, "packets_sent": 18502, "packets_received": 20915,
	    "errors_in": 1, "errors_out": 3, "drops_in": 2, "drops_out": 4, "speed": 10000}]},
	  "gpus": [],
	  "load": {"load1": 1, "load5": 2, "load15": 21}
	}`, get())
}

// machineAPI is the exporter and the extension usage_api: take hands metrics to the one,
// get asks the other for /get.
func machineAPI(t *testing.T) (take func(pmetric.Metrics), get func() string) {
	socket := filepath.Join(t.TempDir(), "api")
	xf := usageapiextension.NewFactory()
	cfg := xf.CreateDefaultConfig().(*usageapiextension.Config)
	cfg.ServerConfig.NetAddr = confignet.AddrConfig{Transport: confignet.TransportTypeUnix, Endpoint: socket}
	x, err := xf.Create(t.Context(), extensiontest.NewNopSettings(xf.Type()), cfg)
	require.NoError(t, err)
	require.NoError(t, x.Start(t.Context(), componenttest.NewNopHost()))
	f := usageapiexporter.NewFactory()
	e, err := f.CreateMetrics(t.Context(), exportertest.NewNopSettings(f.Type()), f.CreateDefaultConfig())
	require.NoError(t, err)
	require.NoError(t, e.Start(t.Context(), extensions{componenttest.NewNopHost(), component.NewID(xf.Type()), x}))

	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		ctx := context.WithoutCancel(t.Context())
		assert.NoError(t, e.Shutdown(ctx))
		assert.NoError(t, x.Shutdown(ctx))
	})
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	take = func(md pmetric.Metrics) { require.NoError(t, e.ConsumeMetrics(t.Context(), md)) }
	get = func() string {
		res, err := client.Get("http://api/get")
		require.NoError(t, err)
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return string(body)
	}
	return take, get
}

// extensions is a host with one of them.
type extensions struct {
	component.Host
	id component.ID
	it component.Component
}

func (x extensions) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{x.id: x.it}
}
