package event

import (
	"strconv"
	"strings"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// DecodeViolation reads one threshold_violation event of any 1.x version, alone or
// in a CloudEvent, as [Decode] does. An event of a later minor is accepted, and
// what that minor added is ignored. The error is a [DecodeError] that wraps
// [ErrVersion], [ErrType] or [ErrMalformed].
func DecodeViolation(data []byte) (*Violation, error) {
	var r reader
	root := r.parse(data)
	minor := root.head(TypeThresholdViolation)
	e := &Violation{
		Version:        root.text("version"),
		Config:         root.object("config").rule(minor),
		CurrentValue:   root.double("current_value"),
		ThresholdValue: root.double("threshold_value"),
		Percentage:     root.double("percentage"),
		Timestamp:      root.integer("timestamp"),
		InstanceID:     root.text("instance_id"),
		UserID:         root.text("user_id"),
	}
	v := &usage.Violation{
		Instance: usage.Instance{ID: e.InstanceID, UserID: e.UserID},
		Rule:     e.Config, Value: e.CurrentValue, Threshold: e.ThresholdValue, At: e.Timestamp,
		State: usage.Firing, Level: usage.LevelWarning, // which 1.0 does not say
	}
	if minor > 0 {
		e.ID, e.Exact = root.uuid("event_id"), v
		v.ID = e.ID
		root.episode(v)
	}
	root.check(v, minor)
	if r.err != nil {
		return nil, r.err
	}
	return e, nil
}

// check holds v against what no violation can be.
func (o object) check(v *usage.Violation, minor int) {
	if field, problem := v.Check(); problem != "" {
		if name, ok := strings.CutPrefix(field, "rule"); ok {
			field = "config" + name
		}
		o.fail(field, "%s", problem)
	}
	if v.Subject() != "" || minor == 0 && v.Rule.Per == usage.PerOrg { // 1.0 has no place for it
		return
	}
	field := map[string]string{usage.PerUser: "user_id", usage.PerOrg: "org_id"}[v.Rule.Per]
	if field == "" {
		field = "instance_id"
	}
	o.fail(field, "is empty, and config.per is %s", v.Rule.Per)
}

func (o object) rule(minor int) usage.ViolationRule {
	r := usage.ViolationRule{
		ID:          o.text("id"),
		Description: o.text("description"),
		Resource:    o.textOrNull("resource"),
		Metric:      o.textOrNull("metric"),
		Type:        o.text("type"),
		Unit:        o.text("unit"),
		Direction:   o.text("direction"),
		Window:      o.textOrNull("window"),
		Per:         o.text("per"),
		Action:      o.text("action"),
		Channels:    o.texts("channels"),
		Labels:      o.labels(),
	}
	r.Warning, r.HasWarning = o.doubleOrNull("warning")
	r.Critical, r.HasCritical = o.doubleOrNull("critical")
	r.Clear, r.HasClear = o.doubleOrNull("clear")
	if minor > 0 {
		r.Timezone = o.textOrNull("timezone")
	}
	return r
}

// episode reads what 1.1 added.
func (o object) episode(v *usage.Violation) {
	instance, host, episode := o.object("instance"), o.object("host"), o.object("episode")
	v.Instance = usage.Instance{
		ID:         v.Instance.ID,
		Name:       instance.text("name"),
		Hypervisor: instance.text("hypervisor"),
		HostID:     host.text("id"),
		HostName:   host.text("name"),
		UserID:     v.Instance.UserID,
		OrgID:      o.textOrNull("org_id"),
		Labels:     o.labels(),
	}
	v.Episode, v.Since = episode.uuid("id"), episode.amount("since_ns")
	v.Count = episode.small("count")
	v.State = usage.ViolationState(o.text("state"))
	v.Reason = o.textOrNull("reason")
	level := o.text("level")
	known := false
	if v.Level, known = usage.ParseThresholdLevel(level); !known {
		o.fail("level", "is %q, want warning or critical", level)
	}
	v.Ratio, _ = o.doubleOrNull("ratio")
	v.Limit, _ = o.doubleOrNull("limit")
	v.Series = o.text("series")
	v.At = o.amount("timestamp_ns")
	v.Suppressed = o.small("suppressed")
	if v.Rule.Window != "" {
		window := o.object("window")
		v.WindowStart, v.WindowEnd = window.amount("start_ns"), window.amount("end_ns")
	}
}

// double reads a number of any sign.
func (o object) double(key string) float64 {
	raw, ok := o.get(key)
	if !ok {
		return 0
	}
	v, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || !isNumber(raw) {
		o.wrong(key, raw, "a number")
	}
	return v
}

func (o object) doubleOrNull(key string) (v float64, has bool) {
	if raw, ok := o.get(key); !ok || isNull(raw) {
		return 0, false
	}
	return o.double(key), true
}

func (o object) textOrNull(key string) string {
	if raw, ok := o.get(key); !ok || isNull(raw) {
		return ""
	}
	return o.text(key)
}

func (o object) texts(key string) []string {
	raw, ok := o.get(key)
	if !ok {
		return nil
	}
	items, ok := itemsOf(raw)
	var all []string
	for _, item := range items {
		if ok = ok && item[0] == '"'; ok {
			all = append(all, unquote(item))
		}
	}
	if !ok {
		o.wrong(key, raw, "an array of strings")
		return nil
	}
	return all
}

// small reads an integer of 32 bits.
func (o object) small(key string) uint32 {
	v := o.amount(key)
	if v>>32 != 0 {
		o.fail(key, "is %d, want at most %d", v, uint32(1<<32-1))
	}
	return uint32(v) //nolint:gosec // checked above
}
