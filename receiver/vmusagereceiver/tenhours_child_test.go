package vmusagereceiver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/metrics"
	"syscall"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/zap"

	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/metadata"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// A lifetime is what one process of TestTenHoursOfOutage is told to do.
type lifetime struct {
	dir       string // of the storage
	kafka     string
	period    time.Duration
	instances int
	target    int // closed periods, of all instances together, after which it meters no more
}

// saying is what it says at each sample: how many closed periods wait for their
// confirmation, and how much heap is in use.
const saying = "waiting %d heap %d\n"

// asLife makes the test binary such a process.
const asLife = "VMUSAGE_TEST_LIFE"

func (l *lifetime) String() string {
	return fmt.Sprintf("%s %s %d %d %d", l.dir, l.kafka, l.period, l.instances, l.target)
}

// TestLifetime is a collector in a process of its own, to be killed: a synthetic
// hypervisor, the receiver, file_storage and the usage_event exporter. It says
// how many periods wait and how much memory is in use, after each sample.
func TestLifetime(t *testing.T) {
	told := os.Getenv(asLife)
	if told == "" {
		t.Skip("a process of TestTenHoursOfOutage")
	}
	var l lifetime
	_, err := fmt.Sscan(told, &l.dir, &l.kafka, &l.period, &l.instances, &l.target)
	require.NoError(t, err)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	storageID := component.MustNewID("file_storage")
	host := &hostWith{componenttest.NewNopHost(), map[component.ID]component.Component{storageID: l.storage(t)}}
	require.NoError(t, host.extensions[storageID].Start(ctx, host))

	ef := usageeventexporter.NewFactory()
	ec := ef.CreateDefaultConfig().(*usageeventexporter.Config)
	ec.Brokers, ec.Producer.Compression = []string{l.kafka}, "zstd"
	set := exportertest.NewNopSettings(ef.Type())
	exporter, err := ef.CreateMetrics(ctx, set, ec)
	require.NoError(t, err)
	require.NoError(t, exporter.Start(ctx, host))

	cfg := createDefaultConfig().(*Config)
	cfg.CollectionInterval, cfg.Period, cfg.Jitter, cfg.Storage = l.period, l.period, 0, &storageID
	cfg.Outbox.MaxBytes = 8 << 30 // nothing is to be joined
	require.NoError(t, cfg.Validate())
	rset := receivertest.NewNopSettings(metadata.Type)
	rset.ID, rset.Logger = component.NewID(metadata.Type), zap.NewNop()
	v, err := newReceiver(rset, cfg, exporter)
	require.NoError(t, err)
	hv := newHypervisor(l.instances)
	hv.enough = func() bool {
		s := v.state.outbox.State()
		fmt.Printf(saying, s.Periods, liveHeap())
		return s.Periods >= l.target
	}
	v.open = func(reading.Instant) ([]source, error) { return []source{hv}, nil }
	require.NoError(t, v.Start(ctx, host))
	<-ctx.Done()
	require.NoError(t, v.Shutdown(context.Background()))
	require.NoError(t, exporter.Shutdown(context.Background()))
	require.NoError(t, host.extensions[storageID].Shutdown(context.Background()))
}

func (l *lifetime) storage(t *testing.T) component.Component {
	f := filestorage.NewFactory()
	cfg := f.CreateDefaultConfig().(*filestorage.Config)
	cfg.Directory, cfg.FSync = l.dir, true
	x, err := f.Create(t.Context(), extensiontest.NewNopSettings(f.Type()), cfg)
	require.NoError(t, err)
	return x
}

// liveHeap is what the last collection found in use, in bytes.
func liveHeap() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

type hostWith struct {
	component.Host
	extensions map[component.ID]component.Component
}

func (h *hostWith) GetExtensions() map[component.ID]component.Component { return h.extensions }

// A hypervisor is a source whose counters are known functions of the instance
// and of CLOCK_BOOTTIME, so that what must have been used can be told.
type hypervisor struct {
	machines []fakeSource
	enough   func() bool
}

func newHypervisor(instances int) *hypervisor {
	h := &hypervisor{machines: make([]fakeSource, instances)}
	for i := range h.machines {
		m := newFakeSource()
		h.machines[i].instance = usage.Instance{
			ID: fmt.Sprintf("6f8f57d1-4d1c-4d2b-a9d6-%012d", i), Name: fmt.Sprintf("web-%d.example.com", i),
			HostID: "h", UserID: "user-42", OrgID: "org-7",
		}
		h.machines[i].reading = m.reading
		h.machines[i].reading.Instance = &h.machines[i].instance
		h.machines[i].reading.Flavor.VCPUs = shares
	}
	return h
}

func (*hypervisor) Name() string { return "fake" }
func (*hypervisor) Close() error { return nil }

var errEnough = errors.New("it has metered enough")

func (h *hypervisor) Sample(_ context.Context, at reading.Instant, visit func(sampled)) error {
	if h.enough() {
		return errEnough
	}
	at.BootID = bootID
	for i := range h.machines {
		m := &h.machines[i]
		m.reading.At = at
		m.reading.Counters = append(m.reading.Counters[:0], reading.Counters{
			First: usage.CPUTime, N: 2, ID: "cpu", Birth: 1, Values: [usage.DeviceMeters]uint64{counted(i, at.Boot)},
		})
		visit(m)
	}
	return nil
}

// counted is the CPU time in us that instance i has used at an instant of
// CLOCK_BOOTTIME: that of as many CPUs as share says.
func counted(i int, boot int64) uint64 { return uint64(boot/1000) * uint64(share(i)) } //nolint:gosec // positive

func share(i int) int64 { return int64(1 + i%shares) }

const shares = 20
