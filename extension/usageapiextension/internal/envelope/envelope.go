// Package envelope writes what every webhook delivery has around its data.
package envelope

import (
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
	"github.com/vmusage/otelcol-vmusage/internal/event"
)

// Append appends the body of an event: {"event_type":...,"timestamp":...,"data":...}, with at,
// when it happened in unix ns, by RFC 3339. data appends one JSON value.
func Append(dst []byte, t webhook.Type, at int64, data func(dst []byte) []byte) []byte {
	dst = append(dst, `{"event_type":"`...)
	dst = append(dst, t...)
	dst = append(dst, `","timestamp":`...)
	dst = event.AppendTime(dst, at)
	dst = append(dst, `,"data":`...)
	return append(data(dst), '}')
}
