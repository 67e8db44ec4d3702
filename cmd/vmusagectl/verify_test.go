package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

// exactEvents returns the events of the first n periods of a stream.
func exactEvents(n int) [][]byte {
	var log [][]byte
	p := usagetest.Host(1)
	length := p.End - p.Start
	p.Totals, p.Sequence, p.End = p.Usage, 1, p.Start
	for m := range p.Metered.All() {
		p.Totals[m] = 0
	}
	for sequence := range n {
		p.Sequence, p.Start, p.End = uint64(sequence+1), p.End, p.End+length
		for m := range p.Metered.All() {
			p.Totals[m] += p.Usage[m]
		}
		log = append(log, event.AppendUsage(nil, event.V1_1, p))
	}
	return log
}

func eventFile(t *testing.T, log ...[]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "events.jsonl")
	require.NoError(t, os.WriteFile(path, bytes.Join(log, []byte("\n")), 0o600))
	return path
}

func TestVerifyTopic(t *testing.T) {
	addr := kafka(t, "")
	log := exactEvents(4)
	require.NoError(t, send(t.Context(), addr, "usage_events", log[0], log[2], log[1], log[1], log[3]))
	status, out, err := call(t, "verify", "--brokers", addr)
	assert.Equal(t, exitOK, status, err)
	assert.Empty(t, err)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 4)
	assert.Regexp(t, `^instance +streams  events  repeats `, lines[0])
	assert.Regexp(t, `^6f8f57d1-4d1c-4d2b-a9d6-5a1b1a3c5e77 +1 +4 +1 +0 +0  2021-07-15 12:00:00  2021-07-15 12:02:00  60.920000 `, lines[1])
	assert.Equal(t, "proven: 4 events of 1 streams are complete and add up", lines[3])

	require.NoError(t, send(t.Context(), addr, "usage_events", nil))
	status, out, err = call(t, "verify", "--brokers", addr)
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, out, "violation: undecodable (usage_events, partition 0, offset 5): malformed event")
	assert.Equal(t, "vmusagectl: not proven: 1 violations\n", err)
}

func TestVerifyFiles(t *testing.T) {
	log := exactEvents(4)
	one, two := eventFile(t, log[0], nil, log[1]), eventFile(t, log[2], log[3])
	status, out, err := call(t, "verify", "--file", two, "--file", one)
	assert.Equal(t, exitOK, status, err)
	assert.Contains(t, out, "proven: 4 events")

	status, out, _ = call(t, "verify", "--file", eventFile(t, log[0], nil, log[2]))
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, out, "violation: missing: instance 6f8f57d1-")
	assert.Contains(t, out, "events.jsonl, line 3): sequence 2 is missing")

	status, out, _ = call(t, "verify", "--file", one, "--instance", "another")
	assert.Equal(t, exitFailed, status)
	assert.Empty(t, out)
}

func TestVerifyStdin(t *testing.T) {
	out := newScreen()
	root := newRoot(terminal{out: out, err: out, getenv: os.Getenv})
	root.SetArgs([]string{"verify", "--file", "-"})
	root.SetIn(bytes.NewReader(bytes.Join(exactEvents(2), []byte("\r\n"))))
	require.NoError(t, root.ExecuteContext(t.Context()))
	assert.Contains(t, out.String(), "proven: 2 events")
}

func TestVerifyJSON(t *testing.T) {
	log := exactEvents(3)
	status, out, err := call(t, "verify", "--json", "--file", eventFile(t, log[1], []byte("junk"), log[2]))
	assert.Equal(t, exitFailed, status)
	assert.Equal(t, "vmusagectl: not proven: 1 violations\n", err)
	var got struct {
		Proven         bool
		Events         int
		ViolationCount int `json:"violation_count"`
		Violations     []struct{ Kind, Where string }
		Notes          []string
		Instances      []struct {
			Usage   map[string]int64
			Streams []struct {
				First uint64 `json:"first_sequence"`
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	assert.False(t, got.Proven)
	assert.Equal(t, [2]int{2, 1}, [2]int{got.Events, got.ViolationCount})
	assert.Equal(t, "undecodable", got.Violations[0].Kind)
	assert.Contains(t, got.Violations[0].Where, "events.jsonl, line 2")
	assert.Len(t, got.Notes, 1, "the stream does not begin at 1")
	assert.EqualValues(t, 2*15_230_000, got.Instances[0].Usage["cpu_time_us"])
	assert.EqualValues(t, 2, got.Instances[0].Streams[0].First)
}

func TestVerifyOfNothingFails(t *testing.T) {
	status, out, err := call(t, "verify", "--brokers", kafka(t, ""))
	assert.Equal(t, exitFailed, status)
	assert.Empty(t, out)
	assert.Contains(t, err, "nothing to prove")

	status, out, err = call(t, "verify", "--file", eventFile(t, usageEvent("old")))
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, out, "note: 1 events of version 1.0")
	assert.Contains(t, err, "nothing to prove")
}

func TestVerifyThatCannotReadFails(t *testing.T) {
	status, out, err := call(t, "verify", "--brokers", freeAddr(t), "--timeout", "1ms")
	assert.Equal(t, exitFailed, status)
	assert.Empty(t, out)
	assert.Contains(t, err, "the end of topic usage_events was not reached: nothing came for 1ms")

	status, _, err = call(t, "verify", "--file", "/nowhere.jsonl")
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, err, "/nowhere.jsonl")

	status, _, err = call(t, "verify", "--file", t.TempDir())
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, err, "line 1: ")

	s := begin(t, "verify", "--brokers", freeAddr(t))
	s.await(s.err, "waiting")
	s.stop()
	assert.Equal(t, exitFailed, s.end(), "what was read is not all")
}

func TestVerifyIntoAClosedPipe(t *testing.T) {
	file, errs := eventFile(t, exactEvents(1)...), newScreen()
	for broken, want := range map[error]int{syscall.EPIPE: exitOK, errors.New("disk full"): exitFailed} {
		term := terminal{out: failing{broken}, err: errs, getenv: os.Getenv}
		assert.Equal(t, want, run(t.Context(), term, []string{"verify", "--file", file}))
	}
	assert.Equal(t, "vmusagectl: show the report: disk full\n", errs.String())

	term := terminal{out: failing{syscall.EPIPE}, err: errs, getenv: os.Getenv}
	assert.Equal(t, exitFailed, run(t.Context(), term, []string{"verify", "--file", eventFile(t, []byte("junk"))}), "the verdict stands")
}

func TestVerifyWrongUsage(t *testing.T) {
	for says, args := range map[string][]string{
		"--timeout is -1s":       {"--timeout", "-1s"},
		"--file and --topic":     {"--file", "-", "--topic", "x"},
		"--file and --brokers":   {"--file", "-", "--brokers", "x"},
		`"now"`:                  {"now"},
		"unknown flag: --offset": {"--offset", "1"},
	} {
		status, _, err := call(t, append([]string{"verify"}, args...)...)
		assert.Equal(t, exitUsage, status)
		assert.Contains(t, err, says)
		assert.Contains(t, err, "vmusagectl verify --help")
	}
}
