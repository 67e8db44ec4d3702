package letters

import (
	"bytes"
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A line is a record as JSON, from which every byte of it can be had again. Of
// each pair of fields one is there: the text, or base64 where the bytes are not
// UTF-8; neither where the record has none, which is not an empty one.
type line struct {
	Topic string `json:"topic"`
	Position
	Timestamp   string       `json:"timestamp"` // RFC 3339, UTC
	Key         *string      `json:"key,omitempty"`
	KeyBase64   []byte       `json:"key_base64,omitempty"`
	Headers     []lineHeader `json:"headers"`
	Value       *string      `json:"value,omitempty"`
	ValueBase64 []byte       `json:"value_base64,omitempty"`
}

type lineHeader struct {
	Key         *string `json:"key,omitempty"`
	KeyBase64   []byte  `json:"key_base64,omitempty"`
	Value       *string `json:"value,omitempty"`
	ValueBase64 []byte  `json:"value_base64,omitempty"`
}

// Line returns a record as one line of JSON, with its newline.
func Line(r *kgo.Record) ([]byte, error) {
	l := line{Topic: r.Topic, Position: Position{r.Partition, r.Offset}, Timestamp: r.Timestamp.UTC().Format(time.RFC3339Nano), Headers: make([]lineHeader, len(r.Headers))}
	l.Key, l.KeyBase64 = text(r.Key)
	l.Value, l.ValueBase64 = text(r.Value)
	for i, h := range r.Headers {
		to := &l.Headers[i]
		to.Key, to.KeyBase64 = text([]byte(h.Key))
		to.Value, to.ValueBase64 = text(h.Value)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(l); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func text(b []byte) (text *string, other []byte) {
	switch {
	case b == nil:
		return nil, nil
	case utf8.Valid(b):
		return new(string(b)), nil
	default:
		return nil, b
	}
}
