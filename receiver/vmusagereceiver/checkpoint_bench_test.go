package vmusagereceiver

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/ledger"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/outbox"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// counting is a storage client that counts.
type counting struct {
	storage.Client
	batches, bytes int64
}

func (c *counting) Batch(ctx context.Context, ops ...*storage.Operation) error {
	c.batches++
	for _, op := range ops {
		c.bytes += int64(len(op.Value))
	}
	return c.Client.Batch(ctx, ops...)
}

// BenchmarkCheckpoint is the end of a period for 10,000 instances with a real
// file_storage that syncs: closing, the snapshot of the ledger, and the one batch
// that confirms the last period and writes this one. The floor is the same
// number of bytes as one value.
func BenchmarkCheckpoint(b *testing.B) {
	const instances = 10_000
	client := openClient(b)
	store := &counting{Client: client}
	clock := func() time.Time { return time.Unix(1_700_000_000, 0) }
	box, _, err := outbox.Open(b.Context(), outbox.Settings{MaxBytes: 1 << 40, Clock: clock}, store, store)
	require.NoError(b, err)
	l := ledger.New(ledger.Settings{Interval: 30 * time.Second, NewID: uuid.New})
	rs := make([]reading.Reading, instances)
	for i := range rs {
		src := newFakeSource()
		rs[i] = src.reading
		rs[i].Instance = &usage.Instance{ID: fmt.Sprintf("6f8f57d1-4d1c-4d2b-a9d6-%012d", i), HostID: "h", UserID: "user-42", OrgID: "org-7"}
	}
	at := reading.Instant{Boot: 1000e9, Wall: 1_700_000_000e9, BootID: bootID}
	var snapshot ledger.Snapshot
	period := func() {
		at.Boot += 30e9
		at.Wall += 30e9
		l.Due()
		for i := range rs {
			rs[i].At = at
			rs[i].Counters = append(rs[i].Counters[:0], reading.Counters{
				First: usage.CPUTime, N: 2, ID: "cpu", Birth: 1, Values: [usage.DeviceMeters]uint64{uint64(at.Boot / 1000)},
			})
			l.Observe(&rs[i])
		}
		closed, _ := l.Take()
		l.Snapshot(&snapshot)
		snapshot.Shards = box.Put(closed, snapshot.Shards)
		if err := box.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
		for c, _ := box.Next(clock()); c != nil; c, _ = box.Next(clock()) {
			box.Confirm(c)
		}
	}
	period()
	b.Run("10000 instances", func(b *testing.B) {
		store.batches, store.bytes = 0, 0
		b.ReportAllocs()
		for b.Loop() {
			period()
		}
		b.ReportMetric(float64(store.batches)/float64(b.N), "batches/op")
		b.ReportMetric(float64(store.bytes)/float64(b.N)/instances, "B/instance")
	})
	value := make([]byte, store.bytes/max(store.batches, 1))
	b.Run("floor", func(b *testing.B) {
		for b.Loop() {
			if err := client.Set(b.Context(), "floor", value); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func openClient(b *testing.B) storage.Client {
	b.Helper()
	f := filestorage.NewFactory()
	cfg := f.CreateDefaultConfig().(*filestorage.Config)
	cfg.Directory, cfg.FSync = b.TempDir(), true
	x, err := f.Create(b.Context(), extensiontest.NewNopSettings(f.Type()), cfg)
	require.NoError(b, err)
	require.NoError(b, x.Start(b.Context(), componenttest.NewNopHost()))
	client, err := x.(storage.Extension).GetClient(b.Context(), component.KindReceiver, component.MustNewID("vm_usage"), "")
	require.NoError(b, err)
	b.Cleanup(func() {
		require.NoError(b, client.Close(context.Background()))
		require.NoError(b, x.Shutdown(context.Background()))
	})
	return client
}
