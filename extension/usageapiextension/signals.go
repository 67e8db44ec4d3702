package usageapiextension

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/component"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/signals"
)

// lookEvery is how often it is looked whether instances went silent, and whether a signal
// that lasts for a while is over.
const lookEvery = 5 * time.Second

// PipelineSignal notes that something is wrong with a component, or is not any more. It is
// for the components of this collector, which need not know this package: each calls it on
// every extension that has the method. It returns at once, may be called at any time and
// from any goroutine, under locks, too, and may be repeated.
//
// Signals are breaker_open, dead_letters, outbox_growing, storage_failing and
// source_failing; others are ignored. dead_letters is said each time that letters were
// written, and ends by itself 5 minutes after the last.
func (e *usageAPI) PipelineSignal(source component.ID, signal string, active bool, detail string) {
	e.signals.Report(source.String(), signals.Name(signal), active, detail)
}

// look finds out what no component says.
func (e *usageAPI) look() {
	stale, detail := e.vitals.Stale()
	e.signals.Report(e.set.ID.String(), signals.StaleMetering, stale, detail)
	e.signals.Expire()
}

func (e *usageAPI) keepLooking(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			e.look()
		}
	}
}
