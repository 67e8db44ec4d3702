package render

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/letters"
)

func sampleLetters() []*kgo.Record {
	at := time.Unix(1626350500, 0)
	header := func(key, value string) kgo.RecordHeader { return kgo.RecordHeader{Key: key, Value: []byte(value)} }
	return []*kgo.Record{
		{
			Topic: "usage_events_dlq", Timestamp: at, Key: []byte("6f8f57d1-4d1c-4d2b-a9d6-5a1b1a3c5e77"), Value: []byte(`{"a":[1,{}],"b":"` + "\u202e" + `<"}`),
			Headers: []kgo.RecordHeader{
				header("event-id", "5d0c8f0e-8a4c-5b43-9a52-1f3f2e1b7c11"), header("ce_odd", "\x1b[2J"),
				header("dlq-reason", "value"), header("dlq-error", "first\nsecond\x07\n"), header("dlq-topic", "usage_events"), header("dlq-attempts", "2"),
				header("dlq-time", "2021-07-15T12:00:30.000000001Z"), header("dlq-content", "event"), header("dlq-source", "host"),
			},
		},
		{
			Topic: "usage_events_dlq", Offset: 1, Timestamp: at, Value: []byte("{\tno JSON\n"),
			Headers: []kgo.RecordHeader{
				header("dlq-reason", "no_instance"), header("dlq-topic", "usage_events"), header("dlq-attempts", "1"),
				header("dlq-time", "2021-07-15T12:00:31Z"), header("dlq-content", "otlp_json"), header("dlq-truncated", "2000000"),
			},
		},
		{Topic: "usage_events_dlq", Partition: 10, Offset: 100, Timestamp: at, Key: []byte("vm"), Value: []byte("\xff\x00abc")},
		{Topic: "usage_events_dlq", Partition: 10, Offset: 101, Timestamp: at},
	}
}

func TestLetters(t *testing.T) {
	var all []*letters.Letter
	got := ""
	for i, r := range sampleLetters() {
		l := letters.Decode(r)
		all = append(all, l)
		got += "# one\n" + Letter(l, r, make([]letters.Position, i%2))
	}
	got = "# all\n" + Letters(all) + got
	golden := filepath.Join("testdata", "letters.golden")
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}
