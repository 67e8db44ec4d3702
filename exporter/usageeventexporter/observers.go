package usageeventexporter

import (
	"time"

	"go.opentelemetry.io/collector/component"
)

// A publicationObserver is an extension that wants to know when events got through, such as
// usage_api, which says whether metering works.
type publicationObserver interface {
	// Published tells that all events of an attempt of an exporter were acknowledged.
	// It returns at once.
	Published(exporter component.ID, at time.Time)
}

// A signalObserver is an extension that wants to know what is wrong with the pipeline.
type signalObserver interface {
	// PipelineSignal tells that something is wrong with a component, or is not any more. It
	// returns at once, from any goroutine and under any lock, and may be repeated.
	PipelineSignal(source component.ID, signal string, active bool, detail string)
}

// The signals of the exporter.
const (
	signalBreaker = "breaker_open"
	signalLetters = "dead_letters" // each time that letters were acknowledged; nobody says that no more are
)

// observersOf returns the extensions that want to know a thing.
func observersOf[O any](host component.Host) []O {
	var all []O
	for _, e := range host.GetExtensions() {
		if o, ok := e.(O); ok {
			all = append(all, o)
		}
	}
	return all
}

func (e *usageEvent) signal(name string, active bool, detail string) {
	for _, o := range e.watchers {
		o.PipelineSignal(e.id, name, active, detail)
	}
}

func (e *usageEvent) tellObservers(at time.Time) {
	for _, o := range e.observers {
		o.Published(e.id, at)
	}
}
