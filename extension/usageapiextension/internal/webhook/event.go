package webhook

import (
	"slices"

	"github.com/google/uuid"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// A Type is what an event is about.
type Type string

// The types.
const (
	Metrics            Type = "metrics"             // the levels of an instance
	ResourceUsage      Type = "resource_usage"      // a closed period
	ThresholdViolation Type = "threshold_violation" // a rule is violated, or no longer
	InstanceLifecycle  Type = "instance_lifecycle"  // an instance came, went or was changed
	PipelineAlert      Type = "pipeline_alert"      // something is wrong with metering or delivery

	// Test is of the event that its owner has sent to a hook by hand. No hook registers for it.
	Test Type = "test"
)

// Types returns those that a hook may register for.
func Types() []Type {
	return []Type{InstanceLifecycle, Metrics, PipelineAlert, ResourceUsage, ThresholdViolation}
}

// An Event is one thing that happened, as it is offered to [Engine.Accept].
type Event struct {
	// ID is the webhook-id: the same whenever the same thing is said.
	ID   uuid.UUID
	Type Type
	// At is when it happened, in unix ns. Hooks hear of nothing from before they were registered.
	At int64

	// InstanceID, UserID, OrgID and Labels are whose it is; all empty where it is about
	// the pipeline.
	InstanceID, UserID, OrgID string
	Labels                    []usage.Label
	// Level is that of a violation, LevelOK where it is over.
	Level usage.ThresholdLevel
	// Owner is who hears of a pipeline alert besides admins; zero for nobody.
	Owner Owner

	// Volatile is of what is of no use when something newer is there: it is not written to
	// the storage, and replaces what waits of the same instance.
	Volatile bool
}

// An Owner is whose a hook is: it sees what belongs to the user and to the organization,
// and an admin's sees all.
type Owner struct {
	UserID, OrgID string
	Admin         bool
}

// Manages reports whether p may see and change what is o's: only who sees all that o sees,
// or its events could be sent to somebody else.
func (p Owner) Manages(o Owner) bool {
	switch {
	case p.Admin:
		return true
	case o.Admin, o == Owner{}:
		return false
	default:
		return (o.UserID == "" || o.UserID == p.UserID) && (o.OrgID == "" || o.OrgID == p.OrgID)
	}
}

// A Filter narrows down what a hook hears of. Each list that is not empty has to have the
// value of an event; Labels all have to be there.
type Filter struct {
	InstanceIDs, UserIDs, OrgIDs []string
	// Levels are those of violations. Other events have none, and are not narrowed down by it; nor are
	// the ends of violations, which may have been worse than they were last.
	Levels []usage.ThresholdLevel
	Labels []usage.Label
}

// Takes reports whether an event passes. Those about the pipeline pass always.
func (f *Filter) Takes(e *Event) bool {
	if e.Type == PipelineAlert {
		return true
	}
	among := func(list []string, value string) bool { return len(list) == 0 || slices.Contains(list, value) }
	if !among(f.InstanceIDs, e.InstanceID) || !among(f.UserIDs, e.UserID) || !among(f.OrgIDs, e.OrgID) {
		return false
	}
	if e.Type == ThresholdViolation && e.Level != usage.LevelOK && len(f.Levels) > 0 && !slices.Contains(f.Levels, e.Level) {
		return false
	}
	for _, l := range f.Labels {
		if !slices.Contains(e.Labels, l) {
			return false
		}
	}
	return true
}
