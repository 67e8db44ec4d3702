package event

import (
	"math"
	"slices"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// AppendViolation appends the threshold_violation event of p in version v to
// dst: one line of JSON without a line feed. Equal violations give equal bytes.
// It neither keeps nor changes p, and does not allocate where dst has room.
//
// p must be what [usage.Violation.Check] finds nothing wrong with: JSON has no
// word for what is no number. Ask [EmitsViolation] first.
func AppendViolation(dst []byte, v Version, p *usage.Violation) []byte {
	dst = slices.Grow(dst, violationSizeHint(p))
	dst = append(dst, `{"event_type":"threshold_violation","version":"`...)
	dst = append(dst, v.String()...)
	dst = append(dst, '"')
	if v != V1_0 {
		dst = append(dst, `,"event_id":`...)
		dst = appendUUID(dst, p.ID)
	}
	dst = append(dst, `,"config":{"id":`...)
	dst = appendRule(dst, v, &p.Rule)
	dst = append(dst, `},"current_value":`...)
	dst = appendFloat(dst, p.Value)
	dst = append(dst, `,"threshold_value":`...)
	dst = appendFloat(dst, p.Threshold)
	dst = append(dst, `,"percentage":`...)
	dst = appendFloat(dst, percentage(p.Ratio))
	dst = append(dst, `,"timestamp":`...)
	dst = appendInt(dst, floorDiv(p.At, 1e9))
	dst = append(dst, `,"instance_id":`...)
	dst = appendString(dst, p.Instance.ID)
	dst = append(dst, `,"user_id":`...)
	dst = appendString(dst, p.Instance.UserID)
	if v != V1_0 {
		dst = appendEpisode(dst, p)
	}
	return append(dst, '}')
}

// violationSizeHint returns about how long an event is, so that an empty buffer
// grows once.
func violationSizeHint(p *usage.Violation) int {
	return 1536 + len(p.Rule.Description) + 64*(len(p.Instance.Labels)+len(p.Rule.Labels)+len(p.Rule.Channels))
}

// appendRule appends the rule from the value of its id on.
func appendRule(dst []byte, v Version, r *usage.ViolationRule) []byte {
	dst = appendString(dst, r.ID)
	dst = append(dst, `,"description":`...)
	dst = appendString(dst, r.Description)
	dst = append(dst, `,"resource":`...)
	dst = appendStringOrNull(dst, r.Resource)
	dst = append(dst, `,"metric":`...)
	dst = appendStringOrNull(dst, r.Metric)
	dst = append(dst, `,"type":`...)
	dst = appendString(dst, r.Type)
	dst = append(dst, `,"unit":`...)
	dst = appendString(dst, r.Unit)
	dst = append(dst, `,"direction":`...)
	dst = appendString(dst, r.Direction)
	dst = append(dst, `,"warning":`...)
	dst = appendFloatOrNull(dst, r.Warning, r.HasWarning)
	dst = append(dst, `,"critical":`...)
	dst = appendFloatOrNull(dst, r.Critical, r.HasCritical)
	dst = append(dst, `,"clear":`...)
	dst = appendFloatOrNull(dst, r.Clear, r.HasClear)
	dst = append(dst, `,"window":`...)
	dst = appendStringOrNull(dst, r.Window)
	if v != V1_0 {
		dst = append(dst, `,"timezone":`...)
		dst = appendStringOrNull(dst, r.Timezone)
	}
	dst = append(dst, `,"per":`...)
	dst = appendString(dst, r.Per)
	dst = append(dst, `,"action":`...)
	dst = appendString(dst, r.Action)
	dst = append(dst, `,"channels":[`...)
	for i, channel := range r.Channels {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, channel)
	}
	dst = append(dst, `],"labels":`...)
	return appendLabels(dst, r.Labels)
}

// appendEpisode appends what 1.1 adds behind the user's id.
func appendEpisode(dst []byte, p *usage.Violation) []byte {
	dst = append(dst, `,"org_id":`...)
	dst = appendStringOrNull(dst, p.Instance.OrgID)
	dst = append(dst, `,"state":`...)
	dst = appendString(dst, string(p.State))
	dst = append(dst, `,"reason":`...)
	dst = appendStringOrNull(dst, p.Reason)
	dst = append(dst, `,"level":"`...)
	dst = append(dst, p.Level.String()...)
	dst = append(dst, `","ratio":`...)
	dst = appendFloatOrNull(dst, p.Ratio, p.Threshold != 0)
	dst = append(dst, `,"unit":`...)
	dst = appendString(dst, p.Rule.Unit)
	dst = append(dst, `,"limit":`...)
	dst = appendFloatOrNull(dst, p.Limit, p.Limit != 0)
	dst = append(dst, `,"series":`...)
	dst = appendString(dst, p.Series)
	dst = append(dst, `,"timestamp_ns":`...)
	dst = appendInt(dst, p.At)
	dst = append(dst, `,"episode":{"id":`...)
	dst = appendUUID(dst, p.Episode)
	dst = append(dst, `,"since_ns":`...)
	dst = appendInt(dst, p.Since)
	dst = append(dst, `,"count":`...)
	dst = appendUint(dst, uint64(p.Count))
	dst = append(dst, `},"suppressed":`...)
	dst = appendUint(dst, uint64(p.Suppressed))
	if p.Rule.Window == "" {
		dst = append(dst, `,"window":null`...)
	} else {
		dst = append(dst, `,"window":{"start_ns":`...)
		dst = appendInt(dst, p.WindowStart)
		dst = append(dst, `,"end_ns":`...)
		dst = appendInt(dst, p.WindowEnd)
		dst = append(dst, '}')
	}
	dst = append(dst, `,"instance":{"name":`...)
	dst = appendString(dst, p.Instance.Name)
	dst = append(dst, `,"hypervisor":`...)
	dst = appendString(dst, p.Instance.Hypervisor)
	dst = append(dst, `},"host":{"id":`...)
	dst = appendString(dst, p.Instance.HostID)
	dst = append(dst, `,"name":`...)
	dst = appendString(dst, p.Instance.HostName)
	dst = append(dst, `},"labels":`...)
	return appendLabels(dst, p.Instance.Labels)
}

func appendLabels(dst []byte, labels []usage.Label) []byte {
	open := len(dst)
	for i := range labels {
		dst = append(dst, ',')
		dst = appendString(dst, labels[i].Key)
		dst = append(dst, ':')
		dst = appendString(dst, labels[i].Value)
	}
	return closeObject(dst, open)
}

// appendStringOrNull appends null for what is empty because there is none.
func appendStringOrNull(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, `null`...)
	}
	return appendString(dst, s)
}

func appendFloatOrNull(dst []byte, f float64, has bool) []byte {
	if !has {
		return append(dst, `null`...)
	}
	return appendFloat(dst, f)
}

// percentage returns a ratio in percent, to six places where doubles have as
// many, so that 0.57 is 57 and not 56.99999999999999.
func percentage(ratio float64) float64 {
	const exact = 1 << 53 // the integers above it are not all doubles
	p := 100 * ratio
	if m := p * million; math.Abs(m) < exact {
		return math.Round(m) / million
	}
	return min(max(p, -math.MaxFloat64), math.MaxFloat64)
}

// EmitsViolation reports whether a violation becomes an event of version v. In
// 1.0, which has no state, only what is firing does: a reader would take the end
// of a violation for another one. In 1.1 it always does.
func EmitsViolation(v Version, p *usage.Violation) bool {
	return v != V1_0 || p.State == usage.Firing
}
