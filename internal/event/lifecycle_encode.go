package event

import (
	"slices"
	"time"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// AppendLifecycle appends an instance_lifecycle event to dst: one line of JSON without a
// line feed. Equal events give equal bytes. It neither keeps nor changes e, and does not
// allocate where dst has room. e.At is not negative.
func AppendLifecycle(dst []byte, e *Lifecycle) []byte {
	dst = slices.Grow(dst, 1024+64*len(e.Instance.Labels))
	dst = append(dst, `{"event_type":"instance_lifecycle","version":"`...)
	dst = append(dst, lifecycleVersion...)
	dst = append(dst, `","event_id":`...)
	dst = appendUUID(dst, e.ID)
	dst = append(dst, `,"timestamp":`...)
	dst = appendInt(dst, floorDiv(e.At, 1e9))
	dst = append(dst, `,"instance_id":`...)
	dst = appendString(dst, e.Instance.ID)
	dst = appendOwner(append(dst, ','), e.Instance.UserID, e.Instance.OrgID)
	dst = append(dst, `,"change":`...)
	dst = appendString(dst, string(e.Change))
	dst = append(dst, `,"recipient":`...)
	dst = appendString(dst, string(e.Recipient))
	dst = append(dst, `,"at":`...)
	dst = AppendTime(dst, e.At)
	dst = append(dst, `,"flavor":`...)
	dst = appendFlavor(dst, &e.Flavor)
	dst = append(dst, `,"previous":`...)
	dst = appendPrevious(dst, &e.Previous)
	dst = append(dst, `,"stream":`...)
	if e.Sequence == 0 {
		dst = append(dst, `null`...)
	} else {
		dst = append(dst, `{"id":`...)
		dst = appendUUID(dst, e.Stream.ID)
		dst = append(dst, `,"source":`...)
		dst = appendString(dst, e.Stream.Source)
		dst = append(dst, `,"host":`...)
		dst = appendString(dst, e.Stream.HostID)
		dst = append(dst, `,"run":`...)
		dst = appendString(dst, e.Stream.Run)
		dst = append(dst, `,"start":`...)
		dst = appendInt(dst, e.Stream.Start)
		dst = append(dst, `,"sequence":`...)
		dst = append(appendUint(dst, e.Sequence), '}')
	}
	dst = append(dst, `,"instance":{"name":`...)
	dst = appendString(dst, e.Instance.Name)
	dst = append(dst, `,"hypervisor":`...)
	dst = appendString(dst, e.Instance.Hypervisor)
	dst = append(dst, `},"host":`...)
	dst = appendHost(dst, e.Instance.HostID, e.Instance.HostName)
	dst = append(dst, `,"labels":`...)
	return append(appendLabels(dst, e.Instance.Labels), '}')
}

// AppendTime appends unix ns as a JSON string by RFC 3339, in UTC and with all digits that
// there are.
func AppendTime(dst []byte, ns int64) []byte {
	dst = time.Unix(0, ns).UTC().AppendFormat(append(dst, '"'), time.RFC3339Nano)
	return append(dst, '"')
}

// appendOwner appends the members that say whose something is.
func appendOwner(dst []byte, user, org string) []byte {
	dst = append(dst, `"user_id":`...)
	dst = appendString(dst, user)
	dst = append(dst, `,"org_id":`...)
	return appendStringOrNull(dst, org)
}

// appendFlavor appends that of which a change is one of the flavor.
func appendFlavor(dst []byte, f *usage.Flavor) []byte {
	dst = append(dst, `{"vcpus":`...)
	dst = appendInt(dst, f.VCPUs)
	dst = append(dst, `,"memory_bytes":`...)
	dst = appendInt(dst, f.MemoryBytes)
	dst = append(dst, `,"gpus":`...)
	return append(appendInt(dst, f.GPUs), '}')
}

func appendHost(dst []byte, id, name string) []byte {
	dst = append(dst, `{"id":`...)
	dst = appendString(dst, id)
	dst = append(dst, `,"name":`...)
	return append(appendString(dst, name), '}')
}

// appendPrevious appends what is known, and null where nothing is.
func appendPrevious(dst []byte, p *Previous) []byte {
	if !p.HasFlavor && !p.HasOwner && !p.HasHost {
		return append(dst, `null`...)
	}
	open := len(dst)
	if p.HasFlavor {
		dst = appendFlavor(append(dst, `,"flavor":`...), &p.Flavor)
	}
	if p.HasOwner {
		dst = append(appendOwner(append(dst, `,"owner":{`...), p.UserID, p.OrgID), '}')
	}
	if p.HasHost {
		dst = appendHost(append(dst, `,"host":`...), p.HostID, p.HostName)
	}
	return closeObject(dst, open)
}
