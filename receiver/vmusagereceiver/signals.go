package vmusagereceiver

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"go.opentelemetry.io/collector/component"

	"github.com/vmusage/otelcol-vmusage/internal/health"
)

// A signalObserver is an extension that wants to know what is wrong with the pipeline, such
// as usage_api.
type signalObserver interface {
	// PipelineSignal tells that something is wrong with a component, or is not any more. It
	// returns at once, from any goroutine and under any lock, and may be repeated.
	PipelineSignal(source component.ID, signal string, active bool, detail string)
}

// The signals of the receiver.
const (
	signalOutbox  = "outbox_growing"
	signalSource  = "source_failing"
	signalStorage = "storage_failing"
)

// signals tell extensions what is wrong, each when it begins and when it ends. Where
// several things may be, the signal is active while one of them is. They are safe for
// concurrent use; nil tells nobody.
type signals struct {
	id        component.ID
	observers []signalObserver

	mu    sync.Mutex                   // also orders what is told
	wrong map[string]map[string]string // what is, by signal, with its error
}

// signalsOf returns the signals of a component to the extensions of a host.
func signalsOf(id component.ID, host component.Host) *signals {
	s := &signals{id: id, wrong: map[string]map[string]string{}}
	for _, e := range host.GetExtensions() {
		if o, ok := e.(signalObserver); ok {
			s.observers = append(s.observers, o)
		}
	}
	return s
}

// report says how a thing of a signal is: err is nil where it is in order.
func (s *signals) report(signal, what string, err error) {
	if s == nil || len(s.observers) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	wrong := s.wrong[signal]
	if _, was := wrong[what]; was == (err != nil) {
		return
	}
	if err == nil {
		delete(wrong, what)
	} else {
		if wrong == nil {
			wrong = map[string]string{}
			s.wrong[signal] = wrong
		}
		wrong[what] = err.Error()
	}
	details := make([]string, 0, len(wrong))
	for _, what := range slices.Sorted(maps.Keys(wrong)) {
		details = append(details, what+": "+wrong[what])
	}
	for _, o := range s.observers {
		o.PipelineSignal(s.id, signal, len(details) > 0, strings.Join(details, "; "))
	}
}

// A news is told how sources are: by the log, the status and the signals.
type news struct {
	health  *health.Reporter
	signals *signals
}

// Report says how what went just now: err is nil where it went well.
func (n news) Report(what string, err error) {
	n.health.Report(what, err)
	n.signals.report(signalSource, what, err)
}
