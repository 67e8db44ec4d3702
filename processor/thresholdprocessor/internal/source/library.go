package source

import (
	"context"
	"time"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

// A Library holds rules that are written while the collector runs: those of an
// API. It is safe for concurrent use.
type Library interface {
	// ThresholdRules returns the rules, which nobody changes any more, and a channel that is
	// closed when there are others.
	ThresholdRules() (rules []*threshold.Rule, changed <-chan struct{})
}

// API follows a library.
type API struct {
	Library Library
	Pause   time.Duration // at least so long after one delivery comes the next
}

// Name returns api.
func (*API) Name() string { return "api" }

// Run delivers the rules, and again at each change.
func (a *API) Run(ctx context.Context, deliver Deliver) {
	for {
		rules, changed := a.Library.ThresholdRules()
		deliver(Update{Rules: rules})
		pause := time.NewTimer(a.Pause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}
