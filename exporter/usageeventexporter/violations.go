package usageeventexporter

import (
	"context"
	"strings"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter/internal/metadata"
	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// violations is what the events about thresholds have in common; nil where there
// is no topic for them.
type violations struct {
	topic   string
	version event.Version
	form    *form
	ignored func(ctx context.Context, points int64)
}

func newViolations(c *Config, builder *metadata.TelemetryBuilder) (*violations, error) {
	if c.ThresholdTopic == "" {
		return nil, nil
	}
	v, err := event.ParseVersion(c.SchemaVersion)
	if err != nil {
		return nil, err
	}
	return &violations{
		topic: c.ThresholdTopic, version: v, form: newForm(&c.RecordConfig, event.TypeThresholdViolation, v),
		ignored: func(ctx context.Context, points int64) { builder.ExporterUsageEventPointsIgnored.Add(ctx, points) },
	}, nil
}

// takes reports whether a metric is one of which events are made.
func (v *violations) takes(metric string) bool {
	return usage.IsUsage(metric) || v != nil && metric == usage.MetricViolation
}

// holds reports whether a record is an event about a threshold.
func (v *violations) holds(topic string) bool { return v != nil && topic == v.topic }

// in reports whether a resource has any.
func (v *violations) in(rm pmetric.ResourceMetrics) bool { return v != nil && usage.HasViolations(rm) }

// announcing is what a conversion needs for violations.
type announcing struct {
	reader usage.ViolationReader
	visit  func(*usage.Violation) error
}

// announce makes the records of the violations in rm. What cannot become an event
// becomes a dead letter, or is refused.
func (n *conversion) announce(rm pmetric.ResourceMetrics) {
	if n.announcing.visit == nil {
		n.announcing.visit = n.addViolation
	}
	switch err := n.announcing.reader.Read(rm, n.announcing.visit); {
	case err == nil:
	case n.letters != nil:
		n.append(n.letters.ofViolations(rm, n.violations.topic, err))
	default:
		n.refuse(err)
	}
}

// addViolation makes the record of p. Its error is always nil: reading goes on.
func (n *conversion) addViolation(p *usage.Violation) error {
	v := n.violations
	if !event.EmitsViolation(v.version, p) {
		v.ignored(n.ctx, 1)
		return nil
	}
	about := attributes{id: p.ID, host: p.Instance.HostID, subject: p.Subject(), at: p.At}
	n.end(v.form, v.topic, &about, event.AppendViolation(n.begin(v.form, &about), v.version, p))
	return nil
}

// ofViolations returns the letter of a resource of whose violations not all can
// become events because of err. It holds them, those that can included, and
// nothing else of the resource.
func (d *deadLetters) ofViolations(rm pmetric.ResourceMetrics, topic string, err error) record {
	only := pmetric.NewResourceMetrics()
	rm.Resource().CopyTo(only.Resource())
	only.SetSchemaUrl(rm.SchemaUrl())
	for _, sm := range rm.ScopeMetrics().All() {
		for _, m := range sm.Metrics().All() {
			if m.Name() != usage.MetricViolation {
				continue
			}
			to := only.ScopeMetrics().AppendEmpty()
			sm.Scope().CopyTo(to.Scope())
			m.CopyTo(to.Metrics().AppendEmpty())
		}
	}
	return d.ofInput(only, topic, err)
}

// isViolation reports whether a reason is one of a violation rather than of usage.
func isViolation(reason string) bool { return strings.HasPrefix(reason, "violation_") }
