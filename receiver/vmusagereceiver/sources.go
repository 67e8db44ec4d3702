package vmusagereceiver

import (
	"errors"
	"fmt"

	"go.opentelemetry.io/collector/receiver"

	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// openSources opens every source that is configured, in the order in which they
// are sampled.
func openSources(set receiver.Settings, cfg *Config, clock func() reading.Instant, at reading.Instant) ([]source, error) {
	h, err := newHostSource(set, cfg, at)
	if err != nil {
		return nil, err
	}
	if !cfg.GPU.HasValue() {
		return []source{h}, nil
	}
	section := cfg.GPU.Get()
	for i := range section.Instances {
		if section.Instances[i].Instance.ID == h.instance.ID {
			return nil, errors.Join(fmt.Errorf("gpu::instances[%d]::instance::id is %q, which is this machine's own: "+
				"remove the entry, since a GPU that is attributed to nobody is the machine's", i, h.instance.ID), h.Close())
		}
	}
	h.gpus = newGPUs(set, cfg, clock, at)
	return []source{h, newGPUSource(h.gpus, section, &h.instance, h.source.BootID())}, nil
}

func closeAll(sources []source) error {
	errs := make([]error, 0, len(sources))
	for _, src := range sources {
		errs = append(errs, src.Close())
	}
	return errors.Join(errs...)
}

func names(sources []source) []string {
	list := make([]string, 0, len(sources))
	for _, src := range sources {
		list = append(list, src.Name())
	}
	return list
}
