package usageapiexporter

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// A Taker is what takes the metrics: the usage_api extension.
type Taker interface {
	// ConsumeMetrics takes in md and keeps nothing of it. It may be called at any time
	// and from several goroutines.
	ConsumeMetrics(ctx context.Context, md pmetric.Metrics)
}

type usageAPI struct {
	cfg   *Config
	taker Taker
}

// start finds the extension.
func (e *usageAPI) start(_ context.Context, host component.Host) error {
	extensions := host.GetExtensions()
	if e.cfg.Extension != nil {
		id := *e.cfg.Extension
		found, ok := extensions[id]
		if !ok {
			return fmt.Errorf("extension is %q: there is no such extension; name one that is listed in service::extensions, such as usage_api", id)
		}
		if e.taker, ok = found.(Taker); !ok {
			return fmt.Errorf("extension is %q: that extension takes no metrics; name one of the type usage_api", id)
		}
		return nil
	}
	var ids []string
	for id, x := range extensions {
		if taker, ok := x.(Taker); ok {
			e.taker = taker
			ids = append(ids, id.String())
		}
	}
	slices.Sort(ids)
	switch len(ids) {
	case 0:
		return errors.New("extension is not set and there is no usage_api extension: add one to extensions and to service::extensions")
	case 1:
		return nil
	default:
		return fmt.Errorf("extension is not set and there are several: name one of %q", ids)
	}
}

// consume never fails: there is nothing that an error could make better, and all
// other exporters would be offered the same usage again.
func (e *usageAPI) consume(ctx context.Context, md pmetric.Metrics) error {
	e.taker.ConsumeMetrics(ctx, md)
	return nil
}
