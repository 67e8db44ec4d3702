package usageapiextension

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/alerts"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/outbound"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/signals"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
	"github.com/vmusage/otelcol-vmusage/internal/event"
)

// hookObserver tells of what the engine does: in metrics, in the log, and as alerts.
type hookObserver struct {
	api *usageAPI
	of  *webhooks
}

var _ webhook.Observer = (*hookObserver)(nil)

func of(t webhook.Type, more ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(append(more, attribute.String("event_type", string(t)))...))
}

// Accepted counts an event that hooks take.
func (o *hookObserver) Accepted(t webhook.Type, _ int) {
	o.api.telemetry.builder.ExtensionUsageAPIWebhookEvents.Add(context.Background(), 1, of(t, attribute.String("outcome", "accepted")))
}

// Repeated counts one that was known.
func (o *hookObserver) Repeated(t webhook.Type) {
	o.api.telemetry.builder.ExtensionUsageAPIWebhookEvents.Add(context.Background(), 1, of(t, attribute.String("outcome", "repeated")))
}

// Attempted measures a request.
func (o *hookObserver) Attempted(t webhook.Type, c outbound.Class, latency time.Duration) {
	o.api.telemetry.builder.ExtensionUsageAPIWebhookRequestDuration.Record(context.Background(), latency.Seconds(), of(t, attribute.String("outcome", string(c))))
}

// Finished counts a delivery that waits no longer.
func (o *hookObserver) Finished(t webhook.Type, s webhook.State, why webhook.Drop) {
	o.api.telemetry.builder.ExtensionUsageAPIWebhookDeliveries.Add(context.Background(), 1,
		of(t, attribute.String("state", string(s)), attribute.String("reason", string(why))))
	switch why {
	case webhook.DropPending, webhook.DropAge, webhook.DropMemory, webhook.DropDamaged:
		o.of.alerts.Set(alerts.Condition{
			Name: alerts.DeliveriesDropped, Source: o.api.set.ID.String(), Active: true, Lasts: droppedLasts,
			Details: []event.Detail{{Key: "reason", Text: string(why)}},
		})
	default: // nobody misses it
	}
}

// Written says whether the storage works.
func (o *hookObserver) Written(err error) { o.api.health.Report("writing webhooks", err) }

// Damaged says what was set aside.
func (o *hookObserver) Damaged(key string, err error) {
	o.api.telemetry.builder.ExtensionUsageAPIWebhookValuesDamaged.Add(context.Background(), 1)
	o.api.set.Logger.Error("a value with webhooks or their deliveries cannot be used; it is under corrupt/ in the storage",
		zap.String("key", key), zap.Error(err))
}

// StatusChanged says that a hook is disabled, or no longer.
func (o *hookObserver) StatusChanged(h *webhook.Hook, on bool) {
	if on {
		o.api.set.Logger.Warn("a webhook is disabled: nothing is sent until its owner registers it again",
			zap.String("webhook", h.ID), zap.String("reason", h.Reason), zap.String("user_id", h.Owner.UserID), zap.String("org_id", h.Owner.OrgID))
	}
	o.of.alerts.Set(disabledAlert(h, on))
}

// signalAlert is what admins are told of what a component says.
func signalAlert(s signals.Signal) alerts.Condition {
	c := alerts.Condition{Name: alerts.Name(s.Name), Source: s.Source, Active: s.Active}
	if s.Detail != "" {
		c.Details = []event.Detail{{Key: "detail", Text: s.Detail}}
	}
	return c
}

// disabledAlert is what its owner and admins are told of a hook that is disabled.
func disabledAlert(h *webhook.Hook, on bool) alerts.Condition {
	c := alerts.Condition{Name: alerts.EndpointDisabled, Source: h.ID, Active: on, Owner: h.Owner}
	if on {
		c.Details = []event.Detail{{Key: "reason", Text: h.Reason}}
	}
	return c
}
