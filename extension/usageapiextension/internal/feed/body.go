package feed

import (
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/envelope"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/view"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
	"github.com/vmusage/otelcol-vmusage/internal/event"
)

// bodies makes the functions that write what is in the reader's fields.
func (r *reader) bodies() {
	body := func(t webhook.Type, data func([]byte) []byte) func([]byte) []byte {
		return func(dst []byte) []byte { return envelope.Append(dst, t, r.event.At, data) }
	}
	r.usageBody = body(webhook.ResourceUsage, func(dst []byte) []byte {
		return event.AppendUsage(dst, event.V1_1, r.period)
	})
	r.violationBody = body(webhook.ThresholdViolation, func(dst []byte) []byte {
		return event.AppendViolation(dst, event.V1_1, r.violation)
	})
	r.lifecycleBody = body(webhook.InstanceLifecycle, func(dst []byte) []byte {
		return event.AppendLifecycle(dst, &r.lifecycle)
	})
	r.levelsBody = body(webhook.Metrics, func(dst []byte) []byte {
		// The last closed period may be of another owner, who may not see it.
		c := r.data.Closed
		closed := c != nil && c.UserID == r.data.Instance.UserID && c.OrgID == r.data.Instance.OrgID
		return view.AppendInstance(dst, r.entry.ID(), r.data, view.AllFields, closed)
	})
}
