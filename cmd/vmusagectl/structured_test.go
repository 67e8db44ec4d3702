package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

// structured returns a record's value as the exporter writes it with
// cloudevents: structured.
func structured(id string, event []byte) []byte {
	return []byte(`{"specversion":"1.0","id":"` + id + `","type":"com.github.vmusage.resource_usage.v1","datacontenttype":"application/json",` +
		`"source":"urn:vmusage:host:h","subject":"vm","time":"2021-07-15T12:00:30Z","data":` + string(event) + `}`)
}

func allStructured(log [][]byte) [][]byte {
	var all [][]byte
	for i, event := range log {
		all = append(all, structured(strings.Repeat("1", i+1), event))
	}
	return all
}

func TestTailShowsStructuredCloudEvents(t *testing.T) {
	addr := kafka(t, "")
	value := structured("1", usageEvent("one"))
	require.NoError(t, send(t.Context(), addr, "usage_events", value, usageEvent("two")))
	status, out, err := call(t, "tail", "--brokers", addr, "--from-beginning", "--count", "2")
	assert.Equal(t, exitOK, status, err)
	assert.Contains(t, out, "2021-07-15 12:00:00 - 12:00:30 UTC  one  owner user\n  cpu     30 s")
	assert.Contains(t, out, "  two  owner user\n", "a topic can have both: the operator changed it")

	status, out, err = call(t, "tail", "--brokers", addr, "--from-beginning", "--count", "1", "--json")
	assert.Equal(t, exitOK, status, err)
	assert.Equal(t, string(value)+"\n", out, "as it is in Kafka")
}

func TestVerifyReadsStructuredCloudEvents(t *testing.T) {
	addr := kafka(t, "")
	bare := exactEvents(4)
	log := allStructured(bare)
	// A repeat in another mode is the same event.
	require.NoError(t, send(t.Context(), addr, "usage_events", log[0], log[2], bare[1], log[1], log[3]))
	status, out, err := call(t, "verify", "--brokers", addr)
	assert.Equal(t, exitOK, status, err)
	assert.Contains(t, out, "proven: 4 events of 1 streams are complete and add up")

	status, _, err = call(t, "verify", "--file", eventFile(t, log...))
	assert.Equal(t, exitOK, status, err)

	log[2] = bytes.Replace(log[2], []byte(`"cpu_time_us":`), []byte(`"cpu_time_us":1`), 1)
	status, out, _ = call(t, "verify", "--file", eventFile(t, log...))
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, out, "line 3")
}

func TestReplayOfAStructuredCloudEvent(t *testing.T) {
	b := dlqBroker(t)
	dead := letter("a", "content-type", "application/cloudevents+json", "dlq-topic", "usage_thresholds")
	dead.Value = structured("a", exactEvents(1)[0])
	put(t, b, dead)
	_, out, err := call(t, "dlq", "show", "--brokers", b.Addr(), "a")
	require.Empty(t, err)
	assert.Contains(t, out, `"specversion": "1.0"`)
	for _, want := range []string{"replayed 1, skipped 0, failed 0", "replayed 0, skipped 1 (present 1), failed 0"} {
		_, out, err = replayed(t, b)
		assert.Empty(t, err)
		assert.Contains(t, out, want)
	}
	all := stored(t, b, "usage_thresholds")
	require.Len(t, all, 1)
	assert.Equal(t, string(dead.Value), string(all[0].Value))
	assert.Contains(t, all[0].Headers, kgo.RecordHeader{Key: "content-type", Value: []byte("application/cloudevents+json")})
}
