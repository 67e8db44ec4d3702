package vmusagereceiver

import (
	"context"
	"errors"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/gpu"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// gpuSource meters the GPUs that are attributed to instances other than the
// machine: each is an instance with meters of GPUs only. It comes after the
// host's source, which asks the GPUs.
type gpuSource struct {
	gpus   *gpus
	bootID string
	guests []*guest
}

// A guest is an instance that GPUs are attributed to.
type guest struct {
	gpus     *gpus
	owner    int
	instance usage.Instance
	reading  reading.Reading
	seen     bool // one of its GPUs was, since the start
}

var errGPUsUnknown = errors.New("the GPUs of the machine are not known yet")

func newGPUSource(g *gpus, cfg *gpu.Config, machine *usage.Instance, bootID string) *gpuSource {
	s := &gpuSource{gpus: g, bootID: bootID}
	for i := range cfg.Instances {
		c := &cfg.Instances[i].Instance
		in := usage.Instance{
			ID: c.ID, Name: c.Name, Hypervisor: c.Hypervisor,
			HostID: machine.HostID, HostName: machine.HostName,
			UserID: c.UserID, OrgID: c.OrgID, Labels: sortedLabels(c.Labels),
		}
		if in.Hypervisor == "" {
			in.Hypervisor = "none"
		}
		if in.Name == "" {
			in.Name = in.ID
		}
		s.guests = append(s.guests, &guest{gpus: g, owner: i, instance: in})
	}
	return s
}

func (*gpuSource) Name() string { return "gpu" }

func (s *gpuSource) Close() error { return s.gpus.meter.Close() }

// Sample visits those of whom a GPU was ever seen since the start: of one that
// was not, nobody knows whether it is gone before the GPUs were enumerated.
func (s *gpuSource) Sample(_ context.Context, at reading.Instant, visit func(sampled)) error {
	at.BootID = s.bootID
	for _, g := range s.guests {
		r := &g.reading
		*r = reading.Reading{
			Instance: &g.instance, At: at, Source: s.Name(), Run: s.bootID, Counters: r.Counters[:0],
		}
		if s.gpus.snapshot.Fill(r, g.owner) || g.seen {
			g.seen = true
			visit(g)
		}
	}
	if len(s.guests) > 0 && !s.gpus.snapshot.Known {
		return errGPUsUnknown
	}
	return nil
}

// Tell says what happened to all GPUs, whoever has them.
func (s *gpuSource) Tell(ctx context.Context, t *telemetry, n news) {
	s.gpus.tell(ctx, t, n)
}

func (g *guest) Reading() *reading.Reading { return &g.reading }

func (g *guest) AppendLevels(ms pmetric.MetricSlice) {
	g.gpus.appendLevels(ms, g.owner, g.reading.At)
}
