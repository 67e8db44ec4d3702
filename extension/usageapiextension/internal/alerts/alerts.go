package alerts

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
	"github.com/vmusage/otelcol-vmusage/internal/event"
)

// A Name is what is wrong.
type Name string

// The names.
const (
	BreakerOpen       Name = "breaker_open"       // an exporter leaves Kafka alone because it does not answer
	DeadLetters       Name = "dead_letters"       // events are refused for good
	StaleMetering     Name = "stale_metering"     // instances send nothing any more
	OutboxGrowing     Name = "outbox_growing"     // usage waits to be taken
	StorageFailing    Name = "storage_failing"    // state cannot be written
	SourceFailing     Name = "source_failing"     // a source of readings cannot be read
	EndpointDisabled  Name = "endpoint_disabled"  // a webhook is not called any more
	DeliveriesDropped Name = "deliveries_dropped" // of a webhook, because too many wait or for too long
)

// valid reports whether it is a word as those above.
func (n Name) valid() bool {
	return n != "" && len(n) <= maxKey && strings.Trim(string(n), "abcdefghijklmnopqrstuvwxyz_") == ""
}

const (
	maxDetails = 16
	maxText    = 256 // bytes of a source, or of the text of a detail
	maxKey     = 64  // bytes
	// keepAgain is after how long what could not be kept is kept again.
	keepAgain = 10 * time.Second
)

// A Batch is events that are written together: a *[webhook.Batch].
type Batch interface {
	Offer(e *webhook.Event, m webhook.Mark, payload func(dst []byte) []byte) webhook.Outcome
	Commit(ctx context.Context)
}

// Settings of [Alerts].
type Settings struct {
	// Begin begins a batch of the engine.
	Begin func() Batch
	// Keep writes what Restore is to be given after a restart; nil where nothing is kept. What
	// it could not write is written again later.
	Keep func(ctx context.Context, value []byte) error
	// HostID and HostName are the machine's on which the collector runs; either may be empty.
	HostID, HostName string

	// For is for how long something has to be wrong before it is told; 0 is at once.
	For time.Duration
	// Clear is for how long it has to be right before it is over.
	Clear time.Duration
	// Settle is for how long after a restart nobody has to say that it is still wrong.
	Settle time.Duration
	// Max is how many alerts there are at a time; more of them are left out and counted.
	Max int
}

// A Condition is what is said of a source: that something is wrong with it, or is not.
type Condition struct {
	Name Name
	// Source is the id of a component, such as usage_event/2, or of a webhook.
	Source string
	Active bool
	// Lasts is for how long it is active without being said again: of what happens in an instant
	// nobody says that it is over. 0 is until somebody does.
	Lasts time.Duration
	// Details are what else there is to know; none of an inactive one leaves those there were.
	Details []event.Detail
	// Owner is who hears of it besides admins; zero for nobody.
	Owner webhook.Owner
}

// Alerts are what is wrong. They are safe for concurrent use.
type Alerts struct {
	settings  Settings
	namespace uuid.UUID
	wake      chan struct{}

	mu      sync.Mutex
	open    map[key]*episode
	ended   []*episode // to be told, in that order
	latest  int64      // when an episode began last
	dropped uint64
	dirty   bool      // what is kept is out of date
	retry   time.Time // not to be kept before
}

type key struct {
	source string
	name   Name
}

// An episode is one alert.
type episode struct {
	key
	owner   webhook.Owner
	details []event.Detail
	since   int64     // unix ns
	from    time.Time // the same, by a clock that does not step

	begun bool // For has passed: it is kept, and told
	told  bool // that it began
	// clear is since when it is right again; zero while it is wrong.
	clear time.Time
	// until is when it is right again if nobody says anything; zero for never.
	until time.Time
	// forget is when it is over if nobody says anything; zero where somebody has.
	forget time.Time

	end    int64 // unix ns
	reason string
}

// New returns Alerts of nothing.
func New(s Settings) *Alerts {
	return &Alerts{
		settings: s, namespace: uuid.NewSHA1(uuid.NameSpaceURL, []byte("urn:vmusage:event:pipeline_alert")),
		wake: make(chan struct{}, 1), open: map[key]*episode{},
	}
}

// Set notes what is said of a source. It may be called at any time, and returns at once.
func (a *Alerts) Set(c Condition) {
	a.mu.Lock()
	defer a.mu.Unlock()
	k := key{cut(c.Source, maxText), c.Name}
	ep := a.open[k]
	now := time.Now()
	switch {
	case ep == nil && !c.Active:
		return
	case ep == nil && len(a.open)+len(a.ended) >= a.settings.Max, !c.Name.valid():
		a.dropped++
		return
	case ep == nil:
		// No two episodes of a source begin at the same time, whatever the clock does: it is
		// in their ids.
		a.latest = max(now.UnixNano(), a.latest+1)
		ep = &episode{key: k, since: a.latest, from: now, begun: a.settings.For <= 0}
		a.open[k] = ep
		a.dirty = a.dirty || ep.begun
	case !c.Active && !ep.begun:
		delete(a.open, k)
		return
	}
	ep.owner, ep.forget, ep.until = c.Owner, time.Time{}, time.Time{}
	if c.Active {
		ep.clear = time.Time{}
		if c.Lasts > 0 {
			ep.until = now.Add(c.Lasts)
		}
	} else if ep.clear.IsZero() {
		ep.clear = now
	}
	if c.Active || len(c.Details) > 0 {
		ep.details = bounded(c.Details)
	}
	a.nudge()
}

func (a *Alerts) nudge() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// An Open is an alert that is not over.
type Open struct {
	Name    Name
	Source  string
	Since   time.Time
	Details []event.Detail
}

// Open returns the alerts that were told and are not over, sorted by name and source.
func (a *Alerts) Open() []Open {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]Open, 0, len(a.open))
	for _, ep := range a.open {
		if ep.begun {
			all = append(all, Open{ep.name, ep.source, time.Unix(0, ep.since).UTC(), slices.Clone(ep.details)})
		}
	}
	slices.SortFunc(all, func(a, b Open) int {
		return cmp.Or(strings.Compare(string(a.Name), string(b.Name)), strings.Compare(a.Source, b.Source))
	})
	return all
}

// Dropped returns how often something was wrong that found no room.
func (a *Alerts) Dropped() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.dropped
}

// bounded returns a copy of details that is not too much.
func bounded(details []event.Detail) []event.Detail {
	if len(details) == 0 {
		return nil
	}
	details = slices.Clone(details[:min(len(details), maxDetails)])
	for i := range details {
		d := &details[i]
		d.Key, d.Text = cut(d.Key, maxKey), cut(d.Text, maxText)
	}
	return details
}

// cut returns as much of a text as there is room for. It keeps nothing of what is longer.
func cut(s string, most int) string {
	if len(s) > most {
		for most > 0 && !utf8.RuneStart(s[most]) {
			most--
		}
		s = s[:most]
	}
	return strings.Clone(s)
}
