package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/vmusage/otelcol-vmusage/internal/devbroker"
	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

// stored returns all records of a topic.
func stored(t *testing.T, b *devbroker.Broker, topic string) []*kgo.Record {
	t.Helper()
	var all []*kgo.Record
	err := readTopic(t.Context(), terminal{err: newScreen()}, topicFlags{brokers: []string{b.Addr()}, topic: topic}, func(r *kgo.Record) error {
		all = append(all, r)
		return nil
	})
	require.NoError(t, err)
	return all
}

func replayed(t *testing.T, b *devbroker.Broker, args ...string) (status int, out, err string) {
	t.Helper()
	return call(t, append([]string{"dlq", "replay", "--brokers", b.Addr()}, args...)...)
}

func TestReplayTwiceWritesOnce(t *testing.T) {
	b := dlqBroker(t)
	put(t, b, letter("a", "dlq-attempts", "3"))
	status, out, err := replayed(t, b, "--dry-run")
	assert.Equal(t, exitOK, status)
	assert.Empty(t, err)
	assert.Equal(t, "would replay 0/0 event a to usage_events\nwould replay 1, skipped 0, failed 0\n", out)
	assert.Empty(t, stored(t, b, "usage_events"))

	status, out, err = replayed(t, b)
	assert.Equal(t, exitOK, status)
	assert.Empty(t, err)
	assert.Regexp(t, `^replayed 0/0 event a to usage_events, partition \d, offset 0\nreplayed 1, skipped 0, failed 0\n$`, out)

	status, out, err = replayed(t, b)
	assert.Equal(t, exitOK, status, "nothing is left to do")
	assert.Empty(t, err)
	assert.Regexp(t, `^skipped 0/0 event a, present: its event is in usage_events, partition \d, offset 0\nreplayed 0, skipped 1 \(present 1\), failed 0\n$`, out)

	all := stored(t, b, "usage_events")
	require.Len(t, all, 1)
	assert.Equal(t, "vm", string(all[0].Key))
	assert.Equal(t, `{"of":"a"}`, string(all[0].Value))
	assert.Equal(t, []kgo.RecordHeader{
		{Key: "ce_type", Value: []byte("usage")}, {Key: "event-id", Value: []byte("a")}, {Key: "dlq-attempts", Value: []byte("3")},
	}, all[0].Headers)
	assert.Len(t, stored(t, b, "usage_events_dlq"), 1, "nothing is deleted")
}

// A letter of a violation goes back to where violations are.
func TestReplayOfAViolation(t *testing.T) {
	b := dlqBroker(t)
	v := usagetest.Violation(1)
	r := letter(v.ID.String(), "dlq-topic", "usage_thresholds", "dlq-reason", "message_too_large")
	r.Value = event.AppendViolation(nil, event.V1_1, v)
	put(t, b, r, letter("a"))
	status, out, err := replayed(t, b)
	assert.Equal(t, exitOK, status)
	assert.Empty(t, err)
	assert.Contains(t, out, "event "+v.ID.String()+" to usage_thresholds, partition ")
	assert.Contains(t, out, "event a to usage_events, partition ")
	all := stored(t, b, "usage_thresholds")
	require.Len(t, all, 1)
	assert.Equal(t, string(r.Value), string(all[0].Value))
	status, out, _ = replayed(t, b)
	assert.Equal(t, exitOK, status)
	assert.Contains(t, out, "replayed 0, skipped 2 (present 2), failed 0")
}

func TestReplaySkips(t *testing.T) {
	b := dlqBroker(t)
	nameless := letter("")
	put(t, b,
		letter("there"), letter("twice"), letter("twice"), letter("often", "dlq-attempts", "5"), letter("cut", "dlq-truncated", "2000000"),
		letter("", "dlq-content", "otlp_json", "dlq-reason", "no_instance"), nameless, &kgo.Record{Topic: "usage_events_dlq", Value: []byte("junk")},
		letter("good"),
		&kgo.Record{Topic: "usage_events", Key: []byte("vm"), Value: []byte(`{"event_id":"there"}`)},
	)
	status, out, err := replayed(t, b)
	assert.Equal(t, exitOK, status)
	assert.Empty(t, err)
	for _, part := range []string{
		"skipped 0/0 event there, present: ", "skipped 0/1 event twice, superseded: a newer letter of this event is at 0/2", "replayed 0/2 event twice",
		"skipped 0/3 event often, max_attempts: dead-lettered 5 times, the limit is 5", "skipped 0/4 event cut, truncated: only 12 of 2000000 bytes",
		"skipped 0/5, otlp_json: ", "post the value to", "skipped 0/6, no_event_id: ", "skipped 0/7, broken: ", "replayed 0/8 event good",
		"replayed 2, skipped 7 (broken 1, max_attempts 1, no_event_id 1, otlp_json 1, present 1, superseded 1, truncated 1), failed 0\n",
	} {
		assert.Contains(t, out, part)
	}
	assert.Len(t, stored(t, b, "usage_events"), 3)

	status, out, _ = replayed(t, b, "--max-attempts", "6", "--event-id", "often")
	assert.Equal(t, exitOK, status)
	assert.Contains(t, out, "replayed 1, skipped 0, failed 0")
}

func TestReplayOfOneReasonAndInstance(t *testing.T) {
	b := dlqBroker(t)
	other := letter("c")
	other.Key = []byte("other")
	put(t, b, letter("a"), letter("b", "dlq-reason", "torn"), other)
	status, out, _ := replayed(t, b, "--reason", "value", "--instance", "vm")
	assert.Equal(t, exitOK, status)
	assert.Contains(t, out, "replayed 1, skipped 0, failed 0")
	all := stored(t, b, "usage_events")
	require.Len(t, all, 1)
	assert.Equal(t, "a", string(all[0].Headers[1].Value))
}

// Events of an instance go to the partition that the Java client puts them on:
// hashes from org.apache.kafka.common.utils.UtilsTest.testMurmur2.
func TestReplayKeepsTheOrderOfAKey(t *testing.T) {
	murmur2 := map[string]int32{"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536, "abc": 479470107}
	b := dlqBroker(t)
	var records []*kgo.Record
	for id := 'A'; id < 'K'; id++ {
		for key := range murmur2 {
			r := letter(string(id) + key)
			r.Key = []byte(key)
			records = append(records, r)
		}
	}
	put(t, b, records...)
	status, out, err := replayed(t, b)
	assert.Equal(t, exitOK, status, err)
	assert.Contains(t, out, "replayed 40, skipped 0, failed 0")
	last := make(map[string]string)
	for _, r := range stored(t, b, "usage_events") {
		key, id := string(r.Key), string(r.Headers[1].Value)
		assert.Equal(t, (murmur2[key]&0x7fffffff)%3, r.Partition, key)
		assert.Less(t, last[key], id)
		last[key] = id
	}
	assert.Len(t, last, len(murmur2))
}

// A topic's limit was raised above the 1 MB that clients and brokers begin with.
func TestReplayOfALargeEvent(t *testing.T) {
	b, err := devbroker.Start(t.Context(), devbroker.Options{Topics: []devbroker.Topic{{Name: "usage_events_dlq", Partitions: 1}}})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.Close()) })
	limit := map[string]string{"max.message.bytes": "8000000"}
	require.NoError(t, b.Cluster().CreateTopic("large_dlq", 1, limit))
	require.NoError(t, b.Cluster().CreateTopic("large", 1, limit))
	r := letter("large", "dlq-topic", "large", "dlq-reason", "message_too_large")
	r.Topic, r.Value = "large_dlq", bytes.Repeat([]byte("x"), 3<<20)
	put(t, b, r)
	status, out, errs := replayed(t, b, "--topic", "large_dlq")
	assert.Equal(t, exitOK, status, errs)
	assert.Contains(t, out, "replayed 1, skipped 0, failed 0")
	all := stored(t, b, "large")
	require.Len(t, all, 1)
	assert.Len(t, all[0].Value, 3<<20)
}

// refuse makes the broker answer produce requests with a value in it with an error.
func refuse(b *devbroker.Broker, value string, err *kerr.Error) {
	b.Cluster().ControlKey(int16(kmsg.Produce), func(request kmsg.Request) (kmsg.Response, error, bool) {
		b.Cluster().KeepControl()
		q := request.(*kmsg.ProduceRequest)
		response := q.ResponseKind().(*kmsg.ProduceResponse)
		found := false
		for _, t := range q.Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic, rt.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				found = found || bytes.Contains(p.Records, []byte(value))
				rp := kmsg.NewProduceResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, err.Code
				rt.Partitions = append(rt.Partitions, rp)
			}
			response.Topics = append(response.Topics, rt)
		}
		return response, nil, found
	})
}

func TestReplayOfWhatIsRefusedGoesOn(t *testing.T) {
	b := dlqBroker(t)
	put(t, b, letter("good-1"), letter("bad"), letter("good-2"))
	refuse(b, "bad", kerr.MessageTooLarge)
	status, out, err := replayed(t, b)
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, out, "replayed 2, skipped 0, failed 1\n")
	assert.Contains(t, err, "failed 0/1 event bad: MESSAGE_TOO_LARGE")
	assert.Contains(t, err, "vmusagectl: 1 letters could not be replayed\n")
	assert.Len(t, stored(t, b, "usage_events"), 2)
}

func TestReplayWithoutAnAnswerStops(t *testing.T) {
	b := dlqBroker(t)
	put(t, b, letter("a"), letter("b"), letter("c"))
	b.Cluster().ControlKey(int16(kmsg.Produce), func(request kmsg.Request) (kmsg.Response, error, bool) {
		b.Cluster().KeepControl()
		for _, topic := range request.(*kmsg.ProduceRequest).Topics {
			for _, p := range topic.Partitions {
				if bytes.Contains(p.Records, []byte("event-id\x02a")) {
					return nil, nil, false
				}
			}
		}
		return nil, nil, true
	})
	status, out, err := replayed(t, b, "--timeout", "1s")
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, out, "replayed 1, skipped 0, failed 2\n")
	assert.Contains(t, err, "failed 0/1 event b: no answer, it may be there or not: ")
	assert.Contains(t, err, "failed 0/2 event c: not tried: ")
	assert.Len(t, stored(t, b, "usage_events"), 1)
}

func TestReplayInterrupted(t *testing.T) {
	b := dlqBroker(t)
	put(t, b, letter("a"), letter("b"))
	reached := make(chan struct{})
	b.Cluster().ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		close(reached)
		return nil, nil, true
	})
	s := begin(t, "dlq", "replay", "--brokers", b.Addr(), "--timeout", "0")
	<-reached
	s.stop()
	assert.Equal(t, exitFailed, s.end())
	assert.Contains(t, s.out.String(), "replayed 0, skipped 0, failed 2\n")
}

func TestReplayToATopicThatIsNotThere(t *testing.T) {
	b := dlqBroker(t)
	put(t, b, letter("a", "dlq-topic", "gone"), letter("b"))
	status, out, err := replayed(t, b, "--timeout", "1s")
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, out, "replayed 1, skipped 0, failed 1\n", "another topic is none the worse for it")
	assert.Contains(t, err, "waiting for topic gone: it does not exist")
	assert.Contains(t, err, "failed 0/0 event a: not written, because it may be there already: the end of topic gone was not reached")
	assert.Equal(t, 1, strings.Count(err, "vmusagectl: "))
}
