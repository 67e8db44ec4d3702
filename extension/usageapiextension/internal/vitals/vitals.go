// Package vitals says whether metering works: from what the components of the
// collector say of themselves, and from when something last really came or went.
package vitals

import (
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/pipeline"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/signals"
)

// A Status is how something is.
type Status string

// The statuses.
const (
	OK       Status = "ok"
	Degraded Status = "degraded" // not as it should be, and it may become so by itself
	Failed   Status = "error"    // somebody has to do something
)

func worse(a, b Status) Status {
	order := []Status{OK, Degraded, Failed}
	if slices.Index(order, b) > slices.Index(order, a) {
		return b
	}
	return a
}

// A Report is how metering is.
type Report struct {
	Status        Status               `json:"status"`
	UptimeSeconds int64                `json:"uptime_seconds"`
	Components    map[string]Component `json:"components"`
	Version       string               `json:"version"`
}

// A Component is how a part of it is.
type Component struct {
	Status Status `json:"status"`
	// LastSuccess is when it last did what it is for; nil where it did not yet.
	LastSuccess *time.Time `json:"last_success"`
	// Details say what is wrong, one each; empty where nothing is.
	Details []string `json:"details"`
}

// The parts.
const (
	Collection = "metrics_collection"
	Publishing = "event_publishing"
	API        = "api"
)

// Data is what is known of what comes in.
type Data interface {
	// LastData returns when data came last; zero where none did.
	LastData() time.Time
	// Stalled returns how many instances send nothing any more, though they used to,
	// and of how many something is known.
	Stalled(most time.Duration) (stalled, of int)
}

// Vitals watch the components. They are safe for concurrent use.
type Vitals struct {
	data         Data
	signals      func() []signals.Signal
	stalledAfter time.Duration
	version      string
	self         component.ID
	now          func() time.Time

	mu         sync.Mutex
	started    time.Time
	served     time.Time
	components map[string]watched
	published  time.Time
}

type watched struct {
	kind  component.Kind
	id    component.ID
	event *componentstatus.Event
}

// Settings of Vitals.
type Settings struct {
	Data Data
	// Signals returns what components say is wrong now; nil where they say nothing.
	Signals      func() []signals.Signal
	StalledAfter time.Duration // at most, see [Data]
	Version      string
	Self         component.ID // of the extension
	Now          func() time.Time
}

// New returns Vitals that know of nothing yet.
func New(s Settings) *Vitals {
	return &Vitals{
		data: s.Data, signals: s.Signals, stalledAfter: s.StalledAfter, version: s.Version, self: s.Self, now: s.Now,
		started: s.Now(), components: map[string]watched{},
	}
}

// Changed notes what a component says of itself.
func (v *Vitals) Changed(source *componentstatus.InstanceID, event *componentstatus.Event) {
	// One configuration in several pipelines is several components, which may not be
	// in the same state.
	key := source.Kind().String() + "/" + source.ComponentID().String()
	source.AllPipelineIDs(func(id pipeline.ID) bool {
		key += "/" + id.String()
		return true
	})
	v.mu.Lock()
	defer v.mu.Unlock()
	v.components[key] = watched{source.Kind(), source.ComponentID(), event}
}

// Published notes that events were acknowledged.
func (v *Vitals) Published(at time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if at.After(v.published) {
		v.published = at
	}
}

// Served notes that a request was answered.
func (v *Vitals) Served() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.served = v.now()
}

// Report says how metering is.
func (v *Vitals) Report() Report {
	v.mu.Lock()
	defer v.mu.Unlock()
	r := Report{
		Status: OK, Version: v.version,
		UptimeSeconds: int64(v.now().Sub(v.started) / time.Second),
		Components: map[string]Component{
			Collection: v.collectionLocked(),
			Publishing: v.publishingLocked(),
			API:        v.partLocked(func(w watched) bool { return w.kind == component.KindExtension && w.id == v.self }, v.served),
		},
	}
	v.signalsLocked(r.Components)
	for _, c := range r.Components {
		r.Status = worse(r.Status, c.Status)
	}
	return r
}

// collectionLocked is about receivers and processors, and about whether data comes.
func (v *Vitals) collectionLocked() Component {
	c := v.partLocked(func(w watched) bool {
		return w.kind == component.KindReceiver || w.kind == component.KindProcessor
	}, v.data.LastData())
	if c.LastSuccess == nil {
		c.fails(Degraded, "no metrics came yet")
	} else if silent := v.silent(); silent != "" {
		c.fails(Degraded, silent)
	}
	return c
}

// publishingLocked is about the exporters of events; where there is none, about all
// that hand metrics on.
func (v *Vitals) publishingLocked() Component {
	const events, api = "usage_event", "usage_api"
	exporter := func(w watched) bool {
		return w.kind == component.KindExporter && w.id.Type().String() == events
	}
	if !slices.ContainsFunc(v.allLocked(), exporter) {
		exporter = func(w watched) bool {
			return w.kind == component.KindExporter && w.id.Type().String() != api
		}
	}
	return v.partLocked(exporter, v.published)
}

func (v *Vitals) allLocked() []watched {
	all := make([]watched, 0, len(v.components))
	for _, w := range v.components {
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b watched) int { return strings.Compare(a.name(), b.name()) })
	return all
}

func (w watched) name() string { return strings.ToLower(w.kind.String()) + " " + w.id.String() }

// partLocked puts together what the components of a part say.
func (v *Vitals) partLocked(of func(watched) bool, success time.Time) Component {
	c := Component{Status: OK, Details: []string{}}
	if !success.IsZero() {
		c.LastSuccess = new(success.UTC())
	}
	for _, w := range v.allLocked() {
		if !of(w) {
			continue
		}
		status := statusOf(w.event.Status())
		if status == OK {
			continue
		}
		detail := w.name() + ": " + strings.ToLower(strings.TrimPrefix(w.event.Status().String(), "Status"))
		if err := w.event.Err(); err != nil {
			detail = w.name() + ": " + err.Error()
		}
		c.fails(status, detail)
	}
	return c
}

func (c *Component) fails(s Status, detail string) {
	c.Status = worse(c.Status, s)
	c.Details = append(c.Details, detail)
}

// statusOf says what a status means for metering.
func statusOf(s componentstatus.Status) Status {
	switch s {
	case componentstatus.StatusNone, componentstatus.StatusStarting, componentstatus.StatusOK:
		return OK
	case componentstatus.StatusPermanentError, componentstatus.StatusFatalError:
		return Failed
	default: // recoverable, or it stops
		return Degraded
	}
}
