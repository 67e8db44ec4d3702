package event

import (
	"strconv"
	"strings"
)

// Decode reads one resource_usage event of any 1.x version: alone, or as the data
// of a CloudEvent in structured mode, whose attributes are not looked at. An event
// of a later minor is accepted, and what that minor added is ignored. The error is
// a [DecodeError] that wraps [ErrVersion], [ErrType] or [ErrMalformed].
//
// It checks what an event says on its own: required fields, types, ranges, that
// usage and totals have the same meters. What only the events of a stream
// together can show is up to the caller.
func Decode(data []byte) (*Event, error) {
	var r reader
	root := r.parse(data)
	minor := root.head(TypeResourceUsage)
	e := &Event{
		Version:    root.text("version"),
		Timestamp:  root.integer("timestamp"),
		InstanceID: root.text("instance_id"),
		UserID:     root.text("user_id"),
	}
	if e.InstanceID == "" {
		root.fail("instance_id", "is empty")
	}
	if raw, ok := root.get("org_id"); ok && !isNull(raw) {
		e.OrgID = root.text("org_id")
	}
	e.Metrics = root.object("metrics").metrics(minor > 0)
	period := root.object("period")
	e.Start, e.End = period.integer("start"), period.integer("end")
	if e.End < e.Start {
		period.fail("end", "is %d, before period.start, which is %d", e.End, e.Start)
	}
	if minor > 0 {
		e.ID = root.uuid("event_id")
		e.Period = root.exact(e)
	}
	if r.err != nil {
		return nil, r.err
	}
	return e, nil
}

// head checks type and version, before anything else can be wrong, and returns
// the minor of major version 1.
func (o object) head(want string) (minor int) {
	if t := o.text("event_type"); t != want && o.r.err == nil {
		o.r.err = &DecodeError{ErrType, o.path() + "event_type", "is " + strconv.Quote(t) + ", want " + strconv.Quote(want)}
	}
	version := o.text("version")
	if o.r.err != nil {
		return 0
	}
	before, after, _ := strings.Cut(version, ".")
	major, ok1 := versionNumber(before)
	minor, ok2 := versionNumber(after)
	switch {
	case !ok1 || !ok2:
		o.fail("version", "is %q, want major.minor", version)
	case major != 1:
		o.r.err = &DecodeError{ErrVersion, o.path() + "version", "is " + strconv.Quote(version) + ", want 1.x; it needs another decoder"}
	}
	return minor
}

func versionNumber(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return int(n), err == nil && strconv.FormatUint(n, 10) == s
}

// metrics reads the metrics of 1.0, which may be null from 1.1 on.
func (o object) metrics(nullable bool) Metrics {
	known := func(key string) bool {
		raw, ok := o.get(key)
		if ok && !nullable && isNull(raw) {
			o.fail(key, "is null, want a number")
		}
		return ok && !isNull(raw)
	}
	integer := func(key string) *int64 {
		if !known(key) {
			return nil
		}
		return new(o.amount(key))
	}
	number := func(key string) *float64 {
		if !known(key) {
			return nil
		}
		return new(o.number(key))
	}
	return Metrics{
		CPUSeconds:       integer("cpu_seconds"),
		CPUPercentAvg:    number("cpu_percent_avg"),
		MemoryGB:         number("memory_gb"),
		MemoryPercent:    number("memory_percent"),
		StorageGB:        number("storage_gb"),
		NetworkEgressMB:  number("network_egress_mb"),
		NetworkIngressMB: number("network_ingress_mb"),
		GPUSeconds:       integer("gpu_seconds"),
	}
}
