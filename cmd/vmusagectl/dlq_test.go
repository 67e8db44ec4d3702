package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/vmusage/otelcol-vmusage/internal/devbroker"
)

func dlqBroker(t *testing.T) *devbroker.Broker {
	t.Helper()
	b, err := devbroker.Start(t.Context(), devbroker.Options{Topics: devbroker.DefaultTopics()})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.Close()) })
	return b
}

// letter returns the dead letter of an event of instance vm, with headers put in
// place of, or after, those that it has.
func letter(id string, headers ...string) *kgo.Record {
	values := map[string]string{
		"ce_type": "usage", "dlq-reason": "value", "dlq-error": "no good", "dlq-topic": "usage_events", "dlq-attempts": "1",
		"dlq-time": "2021-07-15T12:00:30Z", "dlq-content": "event", "dlq-source": "host",
	}
	if id != "" {
		values["event-id"] = id
	}
	for i := 0; i < len(headers); i += 2 {
		values[headers[i]] = headers[i+1]
	}
	r := &kgo.Record{Topic: "usage_events_dlq", Key: []byte("vm"), Value: []byte(`{"of":"` + id + `"}`)}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: key, Value: []byte(values[key])})
	}
	return r
}

func put(t *testing.T, b *devbroker.Broker, records ...*kgo.Record) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.DisableClientMetrics(), kgo.ProducerBatchMaxBytes(8<<20))
	require.NoError(t, err)
	defer c.Close()
	for _, r := range records {
		require.NoError(t, c.ProduceSync(t.Context(), r).FirstErr())
	}
}

func TestDLQList(t *testing.T) {
	b := dlqBroker(t)
	put(t, b, letter("a"), letter("b", "dlq-reason", "torn", "dlq-attempts", "3"), &kgo.Record{Topic: "usage_events_dlq", Key: []byte("other"), Value: []byte("junk")})
	status, out, err := call(t, "dlq", "list", "--brokers", b.Addr())
	assert.Equal(t, exitOK, status)
	assert.Empty(t, err)
	lines := strings.Split(out, "\n")
	assert.Regexp(t, `^letter +time +instance +event id +reason +attempts +bytes$`, lines[0])
	assert.Regexp(t, `^0/0 +2021-07-15 12:00:30 +vm +a +value +1 +10$`, lines[1])
	assert.Regexp(t, `^0/1 +2021-07-15 12:00:30 +vm +b +torn +3 +10$`, lines[2])
	assert.Regexp(t, `^0/2 +\S+ \S+ +other +- +- +- +4$`, lines[3])
	assert.Contains(t, out, "\n3 letters\n  -      1\n  torn   1\n  value  1\n")

	_, out, _ = call(t, "dlq", "list", "--brokers", b.Addr(), "--instance", "vm", "--reason", "torn")
	assert.Contains(t, out, "\n1 letters\n")

	status, out, err = call(t, "dlq", "list", "--brokers", b.Addr(), "--json", "--instance", "vm")
	assert.Equal(t, exitOK, status)
	assert.Empty(t, err)
	lines = strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 2)
	assert.JSONEq(t, `{"partition":0,"offset":1,"time":"2021-07-15T12:00:30Z","instance":"vm","event_id":"b","reason":"torn","error":"no good",`+
		`"origin":"usage_events","attempts":3,"content":"event","source":"host","size":10}`, lines[1])
}

func TestDLQWithoutLettersFails(t *testing.T) {
	b := dlqBroker(t)
	put(t, b, letter("a"))
	file := filepath.Join(t.TempDir(), "letters")
	for _, args := range [][]string{
		{"list", "--instance", "x"},
		{"list", "--json", "--reason", "x"},
		{"show", "0/1"},
		{"show", "b"},
		{"export", "--event-id", "x"},
		{"export", "--event-id", "x", "--output", file},
		{"replay", "--event-id", "x"},
		{"list", "--topic", "usage_thresholds"},
	} {
		status, out, err := call(t, append([]string{"dlq"}, append(args, "--brokers", b.Addr())...)...)
		assert.Equal(t, exitFailed, status, args)
		assert.Empty(t, out)
		assert.Equal(t, "vmusagectl: no such dead letter\n", err)
	}
	assert.NoFileExists(t, file)
}

func TestDLQThatCannotReadFails(t *testing.T) {
	addr := freeAddr(t)
	file := filepath.Join(t.TempDir(), "letters")
	for _, args := range [][]string{{"list"}, {"list", "--json"}, {"show", "0/1"}, {"export", "--output", file}, {"replay"}} {
		status, out, err := call(t, append([]string{"dlq"}, append(args, "--brokers", addr, "--timeout", "1ms")...)...)
		assert.Equal(t, exitFailed, status, args)
		assert.Empty(t, out)
		assert.Contains(t, err, "the end of topic usage_events_dlq was not reached: nothing came for 1ms")
	}
	assert.NoFileExists(t, file, "half an export is none")
}

func TestDLQShow(t *testing.T) {
	b := dlqBroker(t)
	put(t, b, letter("a"), letter("b"), letter("a", "dlq-attempts", "2"), letter("a", "dlq-time", "2021-07-15T11:00:00Z"))
	status, out, err := call(t, "dlq", "show", "0/1", "--brokers", b.Addr())
	assert.Equal(t, exitOK, status)
	assert.Empty(t, err)
	for _, part := range []string{"partition 0, offset 1\n", "error     no good\n", "  ce_type: usage\n", "\n{\n  \"of\": \"b\"\n}\n"} {
		assert.Contains(t, out, part)
	}
	assert.NotContains(t, out, "older letter")

	status, out, err = call(t, "dlq", "show", "a", "--brokers", b.Addr())
	assert.Equal(t, exitOK, status, err)
	assert.Contains(t, out, "partition 0, offset 2\nalso      0/0 is an older letter of this event\nalso      0/3 is an older")
	assert.Contains(t, out, "attempts  2\n")
}

func TestDLQExport(t *testing.T) {
	b := dlqBroker(t)
	odd := letter("odd")
	odd.Key, odd.Value = nil, []byte("\xff")
	put(t, b, letter("a"), odd)
	status, out, err := call(t, "dlq", "export", "--brokers", b.Addr())
	assert.Equal(t, exitOK, status)
	assert.Empty(t, err)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 2)
	var got struct {
		Topic       string
		Offset      int
		Key, Value  *string
		ValueBase64 []byte `json:"value_base64"`
		Headers     []struct{ Key, Value string }
	}
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &got))
	assert.Equal(t, "usage_events_dlq", got.Topic)
	assert.JSONEq(t, `{"of":"a"}`, *got.Value)
	assert.Len(t, got.Headers, 9)
	assert.Contains(t, lines[1], `"value_base64":"/w=="`)
	assert.NotContains(t, lines[1], `"key":null`)

	file := filepath.Join(t.TempDir(), "letters.jsonl")
	status, screen, err := call(t, "dlq", "export", "--brokers", b.Addr(), "--output", file)
	assert.Equal(t, exitOK, status)
	assert.Empty(t, screen)
	assert.Equal(t, "2 letters are in "+file+"\n", err)
	saved, readErr := os.ReadFile(file)
	require.NoError(t, readErr)
	assert.Equal(t, out, string(saved))

	status, _, err = call(t, "dlq", "export", "--brokers", b.Addr(), "--output", file)
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, err, "file exists")
	again, readErr := os.ReadFile(file)
	require.NoError(t, readErr)
	assert.True(t, bytes.Equal(saved, again), "an export that is there stays")
}

func TestDLQIntoAClosedPipe(t *testing.T) {
	b := dlqBroker(t)
	put(t, b, letter("a"))
	for i, args := range [][]string{{"list"}, {"list", "--json"}, {"show", "a"}, {"export"}, {"replay", "--dry-run"}, {"replay"}} {
		for broken, want := range map[error]int{syscall.EPIPE: exitOK, errors.New("disk full"): exitFailed} {
			term := terminal{out: failing{broken}, err: newScreen(), getenv: os.Getenv}
			args := append([]string{"dlq"}, append(args, "--brokers", b.Addr())...)
			assert.Equal(t, want, run(t.Context(), term, args), strconv.Itoa(i))
		}
	}
	assert.Len(t, stored(t, b, "usage_events"), 1, "who reads stdout has no say in what is written")
}

func TestDLQWrongUsage(t *testing.T) {
	for says, args := range map[string][]string{
		"--timeout is -1s":             {"list", "--timeout", "-1s"},
		"--timeout is -2s":             {"show", "0/1", "--timeout", "-2s"},
		"--timeout is -3s":             {"replay", "--timeout", "-3s"},
		"--timeout is -4s":             {"export", "--timeout", "-4s"},
		"--output is empty":            {"export", "--output", ""},
		"--max-attempts is 0":          {"replay", "--max-attempts", "0"},
		`"0/x" is no position`:         {"show", "0/x"},
		"which letter":                 {"show", ""},
		"accepts 1 arg(s), received 0": {"show"},
		`"now"`:                        {"replay", "now"},
		"unknown flag: --offset":       {"list", "--offset", "1"},
	} {
		status, _, err := call(t, append([]string{"dlq"}, args...)...)
		assert.Equal(t, exitUsage, status, args)
		assert.Contains(t, err, says)
		assert.Contains(t, err, "vmusagectl dlq "+args[0]+" --help")
	}
	status, _, _ := call(t, "dlq", "nope")
	assert.Equal(t, exitUsage, status)
}
