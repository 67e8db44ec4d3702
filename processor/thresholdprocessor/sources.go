package thresholdprocessor

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.uber.org/zap"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
	"github.com/vmusage/otelcol-vmusage/processor/thresholdprocessor/internal/source"
)

// sources returns the sources that are configured besides the configuration itself.
func (c *core) sources(ctx context.Context, host component.Host) ([]source.Source, error) {
	var list []source.Source
	if path := c.cfg.Sources.File; path != "" {
		list = append(list, &source.File{
			Path: path, Interval: c.cfg.Sources.FileInterval, MaxBytes: threshold.MaxDocument, Parse: c.parse(threshold.File),
			Confirmed: func() { c.rules.confirmed(threshold.File) },
		})
	}
	if h := c.cfg.Sources.HTTP.Get(); h != nil {
		client, err := h.ClientConfig.ToClient(ctx, host.GetExtensions(), c.set.TelemetrySettings)
		if err != nil {
			return nil, fmt.Errorf("sources::http: %w", err)
		}
		list = append(list, &source.HTTP{
			URL: h.ClientConfig.Endpoint, Interval: h.Interval, MaxBytes: threshold.MaxDocument, Parse: c.parse(threshold.HTTP),
			Client: client, Copy: c.store.copy(h.ClientConfig.Endpoint),
			Failed:    func(err error) { c.set.Logger.Warn("rules from http", zap.Error(err)) },
			Confirmed: func() { c.rules.confirmed(threshold.HTTP) },
		})
	}
	if c.cfg.API != nil {
		library, err := c.library(host)
		if err != nil {
			return nil, err
		}
		list = append(list, &source.API{Library: library, Pause: apiPause})
	}
	return list, nil
}

// apiPause is how often rules of an API are taken over at most: each time all
// are put together anew.
const apiPause = time.Second

// library returns the extension that holds the rules of an API.
func (c *core) library(host component.Host) (source.Library, error) {
	id := *c.cfg.API
	extension, ok := host.GetExtensions()[id]
	if !ok {
		return nil, fmt.Errorf("api is %q: there is no such extension; name one that is listed in service::extensions, such as usage_api", id)
	}
	library, ok := extension.(source.Library)
	if !ok {
		return nil, fmt.Errorf("api is %q: that extension has no rules; name one such as usage_api", id)
	}
	return library, nil
}

func (c *core) parse(from threshold.Source) source.Parse {
	return func(document []byte) ([]*threshold.Rule, error) {
		return threshold.Parse(document, c.cfg.options(from))
	}
}
