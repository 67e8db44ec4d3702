package letters

import (
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Original returns the record that goes back to the origin topic of a letter that
// [Decide] lets through: key, value and headers as they were, and dlq-attempts,
// so that whoever dead-letters it again counts on.
func Original(r *kgo.Record, l *Letter) *kgo.Record {
	headers := make([]kgo.RecordHeader, 0, len(r.Headers))
	for _, h := range r.Headers {
		if !strings.HasPrefix(h.Key, prefix) {
			headers = append(headers, h)
		}
	}
	headers = append(headers, kgo.RecordHeader{Key: headerAttempts, Value: strconv.AppendInt(nil, *l.Attempts, 10)})
	return &kgo.Record{Topic: l.Topic, Key: r.Key, Value: r.Value, Headers: headers}
}
