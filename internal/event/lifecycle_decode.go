package event

import (
	"math"
	"time"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// DecodeLifecycle reads one instance_lifecycle event of any 1.x version, alone or in a
// CloudEvent, as [Decode] does. An event of a later minor is accepted, and what that minor
// added is ignored, but for changes, which are words: ask for those that are known. The
// error is a [DecodeError] that wraps [ErrVersion], [ErrType] or [ErrMalformed].
func DecodeLifecycle(data []byte) (*Lifecycle, error) {
	var r reader
	root := r.parse(data)
	root.head(TypeLifecycle)
	instance, host := root.object("instance"), root.object("host")
	e := &Lifecycle{
		Version:   root.text("version"),
		ID:        root.uuid("event_id"),
		Change:    Change(root.word("change")),
		Recipient: Recipient(root.word("recipient")),
		At:        root.time("at"),
		Flavor:    root.flavor("flavor"),
		Instance: usage.Instance{
			ID: root.text("instance_id"), Name: instance.text("name"), Hypervisor: instance.text("hypervisor"),
			HostID: host.text("id"), HostName: host.text("name"),
			UserID: root.text("user_id"), OrgID: root.textOrNull("org_id"), Labels: root.labels(),
		},
	}
	if e.Instance.ID == "" {
		root.fail("instance_id", "is empty")
	}
	if e.Recipient != ToOwner && e.Recipient != ToPreviousOwner {
		root.fail("recipient", "is %q, want %s or %s", e.Recipient, ToOwner, ToPreviousOwner)
	}
	if s := root.integer("timestamp"); s != floorDiv(e.At, 1e9) {
		root.fail("timestamp", "is %d, and at is %d whole seconds", s, floorDiv(e.At, 1e9))
	}
	if raw, ok := root.get("previous"); ok && !isNull(raw) {
		e.Previous = root.object("previous").previous()
	}
	if raw, ok := root.get("stream"); ok && !isNull(raw) {
		s := root.object("stream")
		e.Stream = usage.Stream{ID: s.uuid("id"), Source: s.text("source"), HostID: s.text("host"), Run: s.text("run"), Start: s.integer("start")}
		if e.Sequence = uint64(s.amount("sequence")); e.Sequence == 0 { //nolint:gosec // not negative
			s.fail("sequence", "is 0, want at least 1")
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	return e, nil
}

func (o object) flavor(key string) usage.Flavor {
	f := o.object(key)
	return usage.Flavor{VCPUs: f.amount("vcpus"), MemoryBytes: f.amount("memory_bytes"), GPUs: f.amount("gpus")}
}

func (o object) previous() (p Previous) {
	if p.HasFlavor = o.has("flavor"); p.HasFlavor {
		p.Flavor = o.flavor("flavor")
	}
	if p.HasOwner = o.has("owner"); p.HasOwner {
		owner := o.object("owner")
		p.UserID, p.OrgID = owner.text("user_id"), owner.textOrNull("org_id")
	}
	if p.HasHost = o.has("host"); p.HasHost {
		host := o.object("host")
		p.HostID, p.HostName = host.text("id"), host.text("name")
	}
	return p
}

// word reads a name of lower-case letters and underscores.
func (o object) word(key string) string {
	s := o.text(key)
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && c != '_' {
			o.fail(key, "is %q, want lower-case letters and underscores", s)
			break
		}
	}
	if s == "" {
		o.fail(key, "is empty")
	}
	return s
}

// time reads what AppendTime wrote.
func (o object) time(key string) int64 {
	s := o.text(key)
	if o.r.err != nil {
		return 0
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Before(time.Unix(0, 0)) || t.After(time.Unix(0, math.MaxInt64)) {
		raw, _ := o.raw(key)
		o.wrong(key, raw, "a time by RFC 3339 from 1970 on")
		return 0
	}
	return t.UnixNano()
}
