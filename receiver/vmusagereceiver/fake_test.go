package vmusagereceiver

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/metadata"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// booted is when the machines of these tests booted, before the time at which
// synctest's clock starts.
var booted = time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC)

const bootID = "672672b0-f7cf-41a4-9906-8798cc7d0a40"

// fakeClock is the clock of a synctest bubble.
func fakeClock() reading.Instant {
	now := time.Now()
	return reading.Instant{Boot: now.Sub(booted).Nanoseconds(), Wall: now.UnixNano()}
}

// countedIDs mints streams that a test can foresee.
func countedIDs() func() uuid.UUID {
	var n byte
	return func() uuid.UUID { n++; return uuid.UUID{6: 0x40, 8: 0x80, 15: n} }
}

// fakeSource is one machine that uses one of two CPUs all the time.
type fakeSource struct {
	instance usage.Instance
	reading  reading.Reading
	delay    time.Duration // of each sample
	closed   bool

	mu      sync.Mutex
	failing bool
	samples []time.Time
}

func newFakeSource() *fakeSource {
	s := &fakeSource{instance: usage.Instance{ID: "vm-1", HostID: "h", UserID: "u"}}
	s.reading = reading.Reading{
		Instance: &s.instance, Source: "fake", Run: bootID,
		Flavor: usage.Flavor{VCPUs: 2, MemoryBytes: 1 << 30},
	}
	for m := range usage.DiskReadBytes {
		s.reading.Metered.Add(m)
	}
	s.reading.Scanned = s.reading.Metered
	for k := range s.reading.Levels {
		s.reading.Levels[k] = reading.Level{Bytes: 1 << 29, Valid: true}
	}
	return s
}

func (*fakeSource) Name() string { return "fake" }

func (s *fakeSource) Close() error { s.closed = true; return nil }

// taken returns when samples were taken.
func (s *fakeSource) taken() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Time(nil), s.samples...)
}

func (s *fakeSource) fail(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = yes
}

func (s *fakeSource) Sample(_ context.Context, at reading.Instant, visit func(sampled)) error {
	time.Sleep(s.delay)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.samples = append(s.samples, time.Unix(0, at.Wall))
	if s.failing {
		return errors.New("cannot be read")
	}
	at.BootID = bootID
	s.reading.At = at
	s.reading.Counters = append(s.reading.Counters[:0], reading.Counters{
		First: usage.CPUTime, N: 2, ID: "cpu", Birth: 1, Values: [usage.DeviceMeters]uint64{uint64(at.Boot / 1000)},
	})
	visit(s)
	return nil
}

func (s *fakeSource) Reading() *reading.Reading { return &s.reading }

func (s *fakeSource) AppendLevels(ms pmetric.MetricSlice) {
	m := ms.AppendEmpty()
	m.SetName("vm.cpu.logical.count")
	m.SetEmptyGauge().DataPoints().AppendEmpty().SetIntValue(2)
}

// pipeline is what comes after the receiver. It takes what levels and usage say.
type pipeline struct {
	levels func(pmetric.Metrics) error
	usage  func(context.Context, *usage.Period) error

	mu      sync.Mutex
	got     []usage.Period // accepted
	batches int            // of levels
}

func (p *pipeline) consumer(t *testing.T) consumer.Metrics {
	t.Helper()
	c, err := consumer.NewMetrics(p.consume)
	require.NoError(t, err)
	return c
}

func (p *pipeline) consume(ctx context.Context, md pmetric.Metrics) error {
	var reader usage.Reader
	levels := true
	var errs []error
	for _, rm := range md.ResourceMetrics().All() {
		errs = append(errs, reader.Read(rm, func(period *usage.Period) error {
			levels = false
			if p.usage != nil {
				if err := p.usage(ctx, period); err != nil {
					return err
				}
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			p.got = append(p.got, *period)
			return nil
		}))
	}
	if !levels {
		return errors.Join(errs...)
	}
	p.mu.Lock()
	p.batches++
	p.mu.Unlock()
	if p.levels != nil {
		return errors.Join(append(errs, p.levels(md))...)
	}
	return errors.Join(errs...)
}

func (p *pipeline) periods() []usage.Period {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]usage.Period(nil), p.got...)
}

func (p *pipeline) levelBatches() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.batches
}

// newFake returns a receiver on the bubble's clock that meters src.
func newFake(t *testing.T, src source, p *pipeline, change ...func(*Config)) *vmUsage {
	t.Helper()
	cfg := createDefaultConfig().(*Config)
	cfg.Jitter = 0
	for _, c := range change {
		c(cfg)
	}
	require.NoError(t, cfg.Validate())
	set := receivertest.NewNopSettings(metadata.Type)
	set.ID = component.NewID(metadata.Type) // the same in every life: storages go by it
	v, err := newReceiver(set, cfg, p.consumer(t))
	require.NoError(t, err)
	v.clock, v.newID = fakeClock, countedIDs()
	v.open = func(reading.Instant) ([]source, error) { return []source{src}, nil }
	return v
}
