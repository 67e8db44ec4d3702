package usageeventexporter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter/internal/metadata"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// Reasons beside those of [usage.Reason].
const (
	reasonGap     = "gap"
	reasonNoOwner = "no_owner"
	reasonOther   = "other"
)

// refusalInterval is how often the log may repeat a reason.
const refusalInterval = time.Minute

// What the log says of what does not become an event in its topic.
const (
	dropped       = "usage cannot become an event and is dropped: it will not be billed"
	unannounced   = "a threshold violation cannot become an event and is dropped: nobody is told"
	deadViolation = "threshold violations are in the dead-letter topic: nobody is told of them until that is looked at, as with `vmusagectl dlq list`"
	deadLettered  = "usage is in the dead-letter topic: it will not be billed until that is looked at, as with `vmusagectl dlq list`"
)

// refusals counts and logs usage that cannot become an event. What is malformed
// stays so however often it is offered, and refusing the batch for it would hold
// up all others for ever: it goes to the dead letters or, without them, is
// dropped, loudly.
type refusals struct {
	logger  *zap.Logger
	builder *metadata.TelemetryBuilder

	mu     sync.Mutex
	logged map[saying]refusal // a closed set
}

type saying struct{ what, reason string }

type refusal struct {
	at     time.Time // of the last line
	unsaid int       // since
}

func newRefusals(logger *zap.Logger, builder *metadata.TelemetryBuilder) *refusals {
	return &refusals{logger: logger, builder: builder, logged: map[saying]refusal{}}
}

// An ownerError is usage that belongs to nobody, where require_owner is on.
type ownerError struct{ instance string }

func (e *ownerError) Error() string {
	return fmt.Sprintf("usage of instance %q: %s: it has neither %s nor %s, and require_owner is true: give the receiver an owner for it, or set require_owner to false",
		e.instance, reasonNoOwner, usage.AttrUserID, usage.AttrOrgID)
}

// reasonOf returns why err refused a period, out of a closed set.
func reasonOf(err error) string {
	if pe, ok := errors.AsType[*usage.PeriodError](err); ok {
		return string(pe.Reason)
	}
	if ve, ok := errors.AsType[*usage.ViolationError](err); ok {
		return string(ve.Reason)
	}
	if _, ok := errors.AsType[*ownerError](err); ok {
		return reasonNoOwner
	}
	return reasonOther
}

// add counts one period or violation that is dropped, and says it.
func (r *refusals) add(ctx context.Context, reason, detail string) {
	r.builder.ExporterUsageEventRecordsRefused.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(attribute.String("reason", reason))))
	what := dropped
	if isViolation(reason) {
		what = unannounced
	}
	r.say(what, reason, detail, 1)
}

// say logs that something happened n times, at most once a minute for each reason.
func (r *refusals) say(what, reason, detail string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := saying{what, reason}
	last, now := r.logged[key], time.Now()
	if !last.at.IsZero() && now.Sub(last.at) < refusalInterval {
		last.unsaid += n
		r.logged[key] = last
		return
	}
	last.unsaid += n - 1
	r.logged[key] = refusal{at: now}
	r.logger.Error(what+"; more of this kind within a minute is only counted",
		zap.String("reason", reason), zap.String("detail", detail), zap.Int("more_since_last", last.unsaid))
}
