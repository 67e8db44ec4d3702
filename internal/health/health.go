// Package health turns outcomes into news.
package health

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"
)

// A Reporter turns outcomes into news: one log line and one component status
// when something begins to fail or works again, and nothing in between. It is
// safe for concurrent use.
type Reporter struct {
	logger *zap.Logger
	host   component.Host

	mu      sync.Mutex
	failing map[string]failure
	started bool
}

type failure struct {
	err   error
	since time.Time
	times int
}

// New returns a Reporter for one component. host is the one given to Start; nil
// where nobody wants to know the status.
func New(logger *zap.Logger, host component.Host) *Reporter {
	return &Reporter{logger: logger, host: host, failing: map[string]failure{}}
}

// Report says how what went just now: err is nil where it went well.
func (h *Reporter) Report(what string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	was, failing := h.failing[what]
	switch {
	case err != nil && failing:
		was.err = err
		was.times++
		h.failing[what] = was
		return
	case err != nil:
		h.failing[what] = failure{err: err, since: time.Now(), times: 1}
		h.logger.Warn(what+" fails; the next line about it comes when it works again", zap.Error(err))
	case failing:
		delete(h.failing, what)
		h.logger.Info(what+" works again",
			zap.Duration("after", time.Since(was.since).Round(time.Millisecond)), zap.Int("failures", was.times), zap.NamedError("last_error", was.err))
	case h.started:
		return
	}
	h.started = true
	if h.host != nil {
		componentstatus.ReportStatus(h.host, h.statusLocked())
	}
}

func (h *Reporter) statusLocked() *componentstatus.Event {
	for _, what := range slices.Sorted(maps.Keys(h.failing)) {
		f := h.failing[what]
		return componentstatus.NewRecoverableErrorEvent(fmt.Errorf("%s: %w", what, f.err))
	}
	return componentstatus.NewEvent(componentstatus.StatusOK)
}

// Failing reports whether what failed when it was last reported.
func (h *Reporter) Failing(what string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, failing := h.failing[what]
	return failing
}
