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

// observersOf returns the extensions that want to know.
func observersOf(host component.Host) []publicationObserver {
	var all []publicationObserver
	for _, e := range host.GetExtensions() {
		if o, ok := e.(publicationObserver); ok {
			all = append(all, o)
		}
	}
	return all
}

func (e *usageEvent) tellObservers(at time.Time) {
	for _, o := range e.observers {
		o.Published(e.id, at)
	}
}
