package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/vmusage/otelcol-vmusage/internal/devbroker"
	"github.com/vmusage/otelcol-vmusage/internal/event"
)

// TestEveryFormOfARunFitsItsSchema lets one meter write each form of its events,
// and holds every one of them against the JSON Schema and against the others.
func TestEveryFormOfARunFitsItsSchema(t *testing.T) {
	binary(t, "otelcol-vmusage")
	var topics []devbroker.Topic
	for _, mode := range []string{"binary", "structured", "none"} {
		for _, version := range []event.Version{event.V1_0, event.V1_1} {
			topics = append(topics, devbroker.Topic{Name: mode + "-" + version.String(), Partitions: 3})
		}
	}
	b, err := devbroker.Start(t.Context(), devbroker.Options{Topics: topics})
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	c := install(t, "testdata/encodings.yaml", "KAFKA_BROKER="+b.Addr()).start(t)
	for _, topic := range topics {
		readUntil(t, b, topic.Name, 3)
	}
	c.stop(t)

	events := map[string]map[string]string{} // by version and id: the JSON
	for _, version := range []event.Version{event.V1_0, event.V1_1} {
		schema := compile(t, event.Schema(version))
		for _, mode := range []string{"binary", "structured", "none"} {
			all := map[string]string{}
			for _, r := range readUntil(t, b, mode+"-"+version.String(), 0) {
				h := headers(r)
				data := r.Value
				if mode == "structured" {
					data = unwrap(t, r, h)
				}
				all[h["event-id"]] = string(data)
				document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
				require.NoError(t, err)
				require.NoError(t, schema.Validate(document), "%s", data)
				_, err = event.Decode(r.Value)
				require.NoError(t, err)
				assert.Equal(t, "vm-e2e", string(r.Key))
			}
			require.GreaterOrEqual(t, len(all), 3)
			if events[version.String()] == nil {
				events[version.String()] = all
			}
			assert.Equal(t, events[version.String()], all, "the same events, byte for byte, in %s", mode)
		}
	}
	assert.Contains(t, c.log.String(), "the events of an instance are in all partitions", "what round_robin costs is said")

	t.Run("kcat reads structured events", func(t *testing.T) {
		out, err := run(t, "", tool(t, "kcat"), "-b", b.Addr(), "-t", "structured-1.1", "-C", "-e", "-q", "-f", `%h|%k|%s\n`)
		require.NoError(t, err)
		for id, data := range events["1.1"] {
			assert.Contains(t, out, "event-id="+id+",content-type=application/cloudevents+json,x-region=eu-1|vm-e2e|{")
			assert.Contains(t, out, `"data":`+data+"}\n")
		}
	})
}

// unwrap returns the event of a CloudEvent, and checks what is around it.
func unwrap(t *testing.T, r *kgo.Record, h map[string]string) []byte {
	t.Helper()
	var ce struct {
		SpecVersion, ID, Source, Type, Subject, DataContentType string
		Time                                                    time.Time
		Data                                                    json.RawMessage
	}
	require.NoError(t, json.Unmarshal(r.Value, &ce))
	assert.Equal(t, "application/cloudevents+json", h["content-type"])
	assert.Equal(t, []string{"1.0", h["event-id"], "vm-e2e", "application/json"}, []string{ce.SpecVersion, ce.ID, ce.Subject, ce.DataContentType})
	assert.Equal(t, r.Timestamp.UnixMilli(), ce.Time.UnixMilli())
	prefix, source := "com.github.vmusage", "urn:vmusage:host:"
	if r.Topic == "structured-1.1" {
		prefix, source = "com.example", "https://metering.example.com/hosts/"
	}
	assert.Equal(t, prefix+".resource_usage.v1", ce.Type)
	assert.True(t, strings.HasPrefix(ce.Source, source) && ce.Source != source, ce.Source)
	return ce.Data
}

func headers(r *kgo.Record) map[string]string {
	all := map[string]string{}
	for _, h := range r.Headers {
		all[h.Key] = string(h.Value)
	}
	return all
}

func compile(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("schema.json", document))
	s, err := c.Compile("schema.json")
	require.NoError(t, err)
	return s
}

// readUntil reads a topic from its beginning until there are n records; with 0,
// until its end as it is now.
func readUntil(t *testing.T, b *devbroker.Broker, topic string, n int) []*kgo.Record {
	t.Helper()
	if n == 0 {
		for _, p := range b.Cluster().PartitionInfos(topic) {
			n += int(p.HighWatermark)
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100*time.Millisecond))
	require.NoError(t, err)
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var all []*kgo.Record
	for len(all) < n {
		fetches := client.PollFetches(ctx)
		require.NoError(t, ctx.Err(), "%d of %d records of %s came", len(all), n, topic)
		all = append(all, fetches.Records()...)
	}
	return all
}

// TestKcatPutsAKeyWhereWeDo: librdkafka's murmur2 and ours choose one partition.
func TestKcatPutsAKeyWhereWeDo(t *testing.T) {
	kcat := tool(t, "kcat")
	b, err := devbroker.Start(t.Context(), devbroker.Options{Topics: []devbroker.Topic{
		{Name: topic, Partitions: 7}, {Name: "kcat", Partitions: 7},
	}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })

	var keys []string
	for i := range 200 {
		keys = append(keys, fmt.Sprintf("vm-%d%s", i, strings.Repeat("ü", i%5)))
	}
	publish(t, b.Addr(), keys)
	var lines strings.Builder
	for _, key := range keys {
		lines.WriteString(key + "|x\n")
	}
	_, err = run(t, lines.String(), kcat, "-b", b.Addr(), "-t", "kcat", "-P", "-K", "|", "-X", "topic.partitioner=murmur2_random")
	require.NoError(t, err)

	partitions := func(topic string) map[string]string {
		out, err := run(t, "", kcat, "-b", b.Addr(), "-t", topic, "-C", "-e", "-q", "-f", `%k|%p\n`)
		require.NoError(t, err)
		of := map[string]string{}
		for line := range strings.Lines(out) {
			key, partition, _ := strings.Cut(strings.TrimSpace(line), "|")
			of[key] = partition
		}
		return of
	}
	ours := partitions(topic)
	require.Len(t, ours, len(keys))
	assert.Equal(t, partitions("kcat"), ours)
	used := map[string]bool{}
	for _, p := range ours {
		used[p] = true
	}
	for p := range 7 {
		assert.True(t, used[strconv.Itoa(p)], "partition %d is used", p)
	}
}
