package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

var update = flag.Bool("update", false, "write golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "rules", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

const (
	recordedRules   = "testdata/rules/metrics.yaml"
	recordedMetrics = "testdata/rules/metrics.jsonl"
)

func TestRulesTestOfMetrics(t *testing.T) {
	status, out, err := call(t, "rules", "test", recordedRules, "--events", recordedMetrics)
	assert.Equal(t, exitOK, status, err)
	assert.Empty(t, err)
	golden(t, "metrics.txt", out)
}

// TestRulesTestAsJSON prints the events that would be in Kafka.
func TestRulesTestAsJSON(t *testing.T) {
	status, out, err := call(t, "rules", "test", recordedRules, "--events", recordedMetrics, "--json")
	assert.Equal(t, exitOK, status, err)
	golden(t, "metrics.json.txt", out)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for _, line := range lines[:len(lines)-1] {
		_, err := event.DecodeViolation([]byte(line))
		require.NoError(t, err)
	}
	var last struct{ Summary map[string]any }
	require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &last))
	assert.Equal(t, []any{"of-nobody"}, last.Summary["matched_nobody"])
}

// TestRulesTestOfProtobuf is of the same metrics, in the file exporter's other format.
func TestRulesTestOfProtobuf(t *testing.T) {
	text, err := os.ReadFile(recordedMetrics)
	require.NoError(t, err)
	var frames []byte
	for line := range bytes.Lines(text) {
		md, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(line)
		require.NoError(t, err)
		frame, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(md)
		require.NoError(t, err)
		frames = append(binary.BigEndian.AppendUint32(frames, uint32(len(frame))), frame...)
	}
	file := filepath.Join(t.TempDir(), "metrics.bin")
	require.NoError(t, os.WriteFile(file, frames, 0o600))
	status, out, errs := call(t, "rules", "test", recordedRules, "--events", file)
	assert.Equal(t, exitOK, status, errs)
	golden(t, "metrics.txt", out)

	require.NoError(t, os.WriteFile(file, frames[:len(frames)-1], 0o600))
	status, out, errs = call(t, "rules", "test", recordedRules, "--events", file)
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, out, "9 batches", "what is whole is replayed")
	assert.Regexp(t, `metrics.bin, at byte \d+: the file ends within a batch`, errs)
}

// quotaEvents are periods of a stream in which 1 GB is sent each.
func quotaEvents(n int) [][]byte {
	var log [][]byte
	p := usagetest.Host(1)
	length := p.End - p.Start
	p.End = p.Start
	_, i, _ := usage.NetworkTransmitBytes.Device()
	amount := &p.Devices[1].Amounts[i]
	p.Usage[usage.NetworkTransmitBytes] += 1e9 - *amount
	*amount = 1e9
	for i := range n {
		p.Sequence, p.Start, p.End = uint64(i+1), p.End, p.End+length
		log = append(log, event.AppendUsage(nil, event.V1_1, p))
	}
	return log
}

const quotaRules = `
- {id: allowance, resource: network_egress, type: percentage, limit: 10, unit: GBy, warning: 30, critical: 60, window: hour}
- {id: owner, resource: network_egress, type: absolute, unit: GBy, warning: 5, window: day, per: user}
- {id: busy, resource: cpu, type: percentage, warning: 10, clear: 5}
`

func TestRulesTestOfEvents(t *testing.T) {
	rules := rulesFile(t, quotaRules)
	log := quotaEvents(10)
	log[2], log[3] = log[3], log[2] // as of two partitions
	log = append(log, log[1], []byte(`{"specversion":"1.0","id":"x","source":"y","type":"z","data":`+string(log[4])+`}`),
		event.AppendViolation(nil, event.V1_1, usagetest.Violation(1)))
	file := eventFile(t, log...)

	status, out, errs := call(t, "rules", "test", rules, "--fleet", "--events", file, "--to", "2021-07-15T13:30:00Z")
	assert.Equal(t, exitOK, status, errs)
	golden(t, "events.txt", out)

	status, out, _ = call(t, "rules", "test", rules, "--fleet", "--events", file, "--levels", "avg", "--to", "2021-07-15T13:30:00Z")
	assert.Equal(t, exitOK, status)
	golden(t, "events-avg.txt", out)

	status, out, _ = call(t, "rules", "test", rules, "--fleet", "--events", file, "--from", "2021-07-15T12:04:00Z", "--to", "2021-07-15T12:05:00Z")
	assert.Equal(t, exitOK, status)
	assert.Contains(t, out, "announced: 0 warning")
	assert.Contains(t, out, "replayed: 2 usage events")
	assert.Contains(t, out, "--from and --to: 10\n")
}

func TestRulesTestOfSeveralFiles(t *testing.T) {
	rules, log := rulesFile(t, quotaRules), quotaEvents(10)
	status, one, errs := call(t, "rules", "test", rules, "--fleet", "--events", eventFile(t, log...))
	assert.Equal(t, exitOK, status, errs)
	_, two, _ := call(t, "rules", "test", rules, "--fleet", "--events", eventFile(t, log[1], log[3], log[5], log[7], log[9]),
		"--events", eventFile(t, log[0], log[2], log[4], log[6], log[8]))
	assert.Equal(t, one, two)
}

func TestRulesTestOfStdin(t *testing.T) {
	for _, name := range []string{"rules", "events"} {
		rules, file := rulesFile(t, quotaRules), eventFile(t, quotaEvents(4)...)
		from, err := os.Open(map[string]string{"rules": rules, "events": file}[name])
		require.NoError(t, err)
		defer from.Close()
		if name == "rules" {
			rules = "-"
		} else {
			file = "-"
		}
		out := newScreen()
		root := newRoot(terminal{out: out, err: out, getenv: os.Getenv})
		root.SetArgs([]string{"rules", "test", rules, "--fleet", "--events", file})
		root.SetIn(from)
		require.NoError(t, root.ExecuteContext(t.Context()))
		assert.Contains(t, out.String(), "replayed: 4 usage events")
	}
}

// TestRulesTestNamesWhatItCannotUse and replays the rest.
func TestRulesTestNamesWhatItCannotUse(t *testing.T) {
	log := quotaEvents(4)
	file := eventFile(t, log[0], []byte("junk"), usageEvent("old"), nil, []byte(`{"resourceMetrics":3}`), log[1], log[2], log[3])
	status, out, errs := call(t, "rules", "test", rulesFile(t, quotaRules), "--fleet", "--events", file)
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, out, "replayed: 4 usage events")
	assert.Contains(t, out, "passed over, unusable, as told above: 3\n")
	assert.Contains(t, errs, "events.jsonl:2: malformed event")
	assert.Contains(t, errs, "events.jsonl:3: a usage event of version 1.0 has no stream and no exact amounts")
	assert.Contains(t, errs, "events.jsonl:5: no OTLP metrics")
	assert.Contains(t, errs, "3 records could not be used")

	status, _, errs = call(t, "rules", "test", rulesFile(t, quotaRules), "--fleet", "--events", eventFile(t, bytes.Repeat([]byte("\nx"), 15)))
	assert.Equal(t, exitFailed, status)
	assert.Equal(t, 12, strings.Count(errs, "\n"))
	assert.Contains(t, errs, "events.jsonl:11: ")
	assert.Contains(t, errs, "and 5 more\n")
}

func TestRulesTestFails(t *testing.T) {
	good := rulesFile(t, goodRules)
	bad := rulesFile(t, "rules:\n  - id: a\n    resource: cpu\n    type: percentage\n    warning: -1\n")
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"bad rules":     {[]string{bad, "--events", recordedMetrics}, bad + `:5: rules[0] "a": warning is -1: must not be negative` + "\n"},
		"no rules":      {[]string{"/nowhere.yaml", "--events", recordedMetrics}, "/nowhere.yaml: no such file"},
		"no events":     {[]string{good, "--events", "/nowhere.jsonl"}, "--events: open /nowhere.jsonl: no such file"},
		"a directory":   {[]string{good, "--events", t.TempDir()}, "is a directory"},
		"empty":         {[]string{good, "--events", eventFile(t)}, "nothing to replay"},
		"only junk":     {[]string{good, "--events", eventFile(t, []byte("\x00\x01"))}, "at byte 0: the file ends within a batch"},
		"long batch":    {[]string{good, "--events", eventFile(t, []byte("\x04\xff\xff\xff\x00"))}, "a batch of 83886079 bytes, at most 67108864"},
		"other command": {[]string{good, "--events", recordedMetrics, "--to", "1980-01-01T00:00:00Z"}, "nothing to replay"},
	} {
		status, _, err := call(t, append([]string{"rules", "test"}, tt.args...)...)
		assert.Equal(t, exitFailed, status, name)
		assert.Contains(t, err, tt.want, name)
	}
}

func TestRulesTestWrongUsage(t *testing.T) {
	good := rulesFile(t, goodRules)
	for says, args := range map[string][]string{
		"--events is missing":              {good},
		"accepts 1 arg":                    {"--events", "-"},
		"only one of them can be stdin":    {"-", "--events", "-"},
		`--from is "yesterday"`:            {good, "--events", "-", "--from", "yesterday"},
		"--to is 1900-01-01T00:00:00Z":     {good, "--events", "-", "--to", "1900-01-01T00:00:00Z"},
		"must be after --from":             {good, "--events", "-", "--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z"},
		"--tick is -1s":                    {good, "--events", "-", "--tick", "-1s"},
		`--levels is "min": use none, avg`: {good, "--events", "-", "--levels", "min"},
		"unknown flag: --limits":           {good, "--limits", "1"},
	} {
		status, _, err := call(t, append([]string{"rules", "test"}, args...)...)
		assert.Equal(t, exitUsage, status, says)
		assert.Contains(t, err, says)
		assert.Contains(t, err, "rules test --help")
	}
}

func TestRulesTestIntoAClosedPipe(t *testing.T) {
	for broken, want := range map[error]int{syscall.EPIPE: exitOK, errors.New("disk full"): exitFailed} {
		for _, flags := range [][]string{nil, {"--json"}} {
			term := terminal{out: failing{broken}, err: newScreen(), getenv: os.Getenv}
			assert.Equal(t, want, run(t.Context(), term, append([]string{"rules", "test", recordedRules, "--events", recordedMetrics}, flags...)), fmt.Sprint(broken, flags))
		}
	}
}
