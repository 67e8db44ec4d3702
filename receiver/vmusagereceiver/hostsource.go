package vmusagereceiver

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/host"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/metadata"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// hostSource meters the machine itself: one instance, whose identity is configured.
type hostSource struct {
	source   *host.Source
	instance usage.Instance
	builder  *metadata.MetricsBuilder
	snapshot *host.Snapshot
	reading  reading.Reading
	last     busy
	gpus     *gpus // nil where they are not metered
}

// busy is what the last sample saw of the CPU, for the share used since.
type busy struct {
	at, micros int64
	known      bool
}

// bootTime is the wall clock's time of boot.
func bootTime(at reading.Instant) pcommon.Timestamp {
	return pcommon.NewTimestampFromTime(time.Unix(0, at.Wall-at.Boot))
}

func newHostSource(set receiver.Settings, cfg *Config, at reading.Instant) (*hostSource, error) {
	section := cfg.Host // a copy: with no source named, host is on with its defaults
	src, err := host.New(*section.GetOrInsertDefault())
	if err != nil {
		return nil, err
	}
	s := &hostSource{
		source: src,
		builder: metadata.NewMetricsBuilder(cfg.MetricsBuilderConfig, set,
			metadata.WithStartTime(bootTime(at))),
	}
	machine, err := src.MachineID()
	if err != nil && cfg.Instance.ID == "" {
		return nil, fmt.Errorf("instance::id is empty and the machine has no stable id of its own (%w): set instance::id", err)
	}
	s.instance = usage.Instance{
		ID:         cfg.Instance.ID,
		Name:       cfg.Instance.Name,
		Hypervisor: "none",
		HostID:     machine,
		HostName:   src.Hostname(),
		UserID:     cfg.Instance.UserID,
		OrgID:      cfg.Instance.OrgID,
		Labels:     sortedLabels(cfg.Instance.Labels),
	}
	if s.instance.ID == "" {
		s.instance.ID = machine
	}
	if s.instance.Name == "" {
		s.instance.Name = s.instance.HostName
	}
	return s, nil
}

func (*hostSource) Name() string { return "host" }

func (s *hostSource) Close() error { return s.source.Close() }

func (s *hostSource) Sample(ctx context.Context, at reading.Instant, visit func(sampled)) error {
	if s.gpus != nil {
		s.gpus.meter.Ask()
	}
	snapshot, err := s.source.Sample(ctx, at)
	if s.gpus != nil {
		s.gpus.collect(ctx, at)
	}
	if err != nil {
		return err
	}
	s.snapshot = snapshot
	snapshot.Reading(&s.reading)
	s.reading.Instance = &s.instance
	s.reading.At.BootID = s.reading.Run
	if s.gpus != nil {
		s.gpus.snapshot.Fill(&s.reading, theMachine)
	} else {
		// Those that were metered before the configuration said otherwise are gone:
		// else they would be waited for, and be a gap for ever.
		s.reading.Scanned.AddClass(usage.GPU)
	}
	visit(s)
	return snapshot.Err()
}

func (s *hostSource) Reading() *reading.Reading { return &s.reading }

// AppendLevels records the snapshot with the generated builder, which knows
// which metrics the user wants.
func (s *hostSource) AppendLevels(ms pmetric.MetricSlice) {
	ts := pcommon.Timestamp(s.reading.At.Wall) //nolint:gosec // after 1970
	s.recordCPU(ts)
	s.recordMemory(ts)
	s.recordStorage(ts)
	s.recordNetwork(ts)
	moveMetrics(s.builder.Emit(), ms)
	if s.gpus != nil {
		s.gpus.appendLevels(ms, theMachine, s.reading.At)
	}
}
