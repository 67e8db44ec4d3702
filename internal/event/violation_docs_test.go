package event

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// What is between these two lines is in docs/events.md, word for word.
// docs:begin

// A violation is what there is to know of an event to know what is open.
type violation struct {
	Type    string `json:"event_type"`
	State   string `json:"state"`
	Level   string `json:"level"`
	At      int64  `json:"timestamp_ns"`
	Episode struct {
		ID    string `json:"id"`
		Count uint32 `json:"count"`
	} `json:"episode"`
}

// newer reports whether v is of a later time than w of the same episode. An event
// is not newer than itself.
func (v *violation) newer(w *violation) bool {
	if v.At != w.At {
		return v.At > w.At
	}
	if over := v.State == "resolved"; over != (w.State == "resolved") {
		return over
	}
	return v.Episode.Count > w.Episode.Count
}

// follow takes the value of one record. newest holds, by episode, the newest event;
// an episode that is resolved stays for as long as the topic keeps its events.
// news is true where it begins, ends, or is at another level.
func follow(newest map[string]violation, value []byte) (news bool, err error) {
	var v violation
	if err := json.Unmarshal(value, &v); err != nil {
		return false, err
	}
	if v.Type != "threshold_violation" {
		return false, nil
	}
	last, known := newest[v.Episode.ID]
	if known && !v.newer(&last) {
		return false, nil // a repeat, or older than what is known
	}
	newest[v.Episode.ID] = v
	return !known || v.State != last.State || v.Level != last.Level, nil
}

// docs:end

// episodeLog is what a topic may hold of two episodes: repeats, and out of order.
func episodeLog() (log [][]byte, news []bool) {
	add := func(isNews bool, episode byte, at int64, state usage.ViolationState, level usage.ThresholdLevel, count uint32) {
		v := cpuViolation()
		v.Episode[0], v.At, v.State, v.Level, v.Count = episode, at, state, level, count
		v.ID[0], v.ID[1], v.ID[2] = episode, byte(at), byte(count)
		log, news = append(log, AppendViolation(nil, V1_1, v)), append(news, isNews)
	}
	add(true, 1, 10, usage.Firing, usage.LevelWarning, 0)
	add(false, 1, 10, usage.Firing, usage.LevelWarning, 0)
	add(false, 1, 20, usage.Firing, usage.LevelWarning, 1)
	add(true, 2, 20, usage.Firing, usage.LevelCritical, 0)
	add(true, 1, 40, usage.Firing, usage.LevelCritical, 0)
	add(false, 1, 30, usage.Firing, usage.LevelWarning, 2)
	add(true, 1, 50, usage.Resolved, usage.LevelCritical, 0)
	add(false, 1, 40, usage.Firing, usage.LevelCritical, 0)
	add(false, 1, 50, usage.Firing, usage.LevelCritical, 1)
	log, news = append(log, AppendUsage(nil, V1_1, hostPeriod())), append(news, false)
	return log, news
}

func TestDocsGoExample(t *testing.T) {
	newest := map[string]violation{}
	log, want := episodeLog()
	for i, value := range log {
		news, err := follow(newest, value)
		require.NoError(t, err)
		assert.Equal(t, want[i], news, i)
	}
	assert.Len(t, newest, 2)

	source, err := os.ReadFile("violation_docs_test.go")
	require.NoError(t, err)
	_, code, _ := strings.Cut(string(source), "// docs:begin\n\n")
	code, _, _ = strings.Cut(code, "\n// docs:end")
	text, err := os.ReadFile("../../docs/events.md")
	require.NoError(t, err)
	assert.Contains(t, string(text), "```go\n"+code+"```\n")
}

func TestDocsJQExample(t *testing.T) {
	jq, err := exec.LookPath("jq")
	if err != nil {
		t.Skip("SKIPPED: jq is not installed")
	}
	text, err := os.ReadFile("../../docs/events.md")
	require.NoError(t, err)
	found := regexp.MustCompile("(?s)```jq\n(.*?)```").FindSubmatch(text)
	require.NotNil(t, found)
	program := filepath.Join(t.TempDir(), "open.jq")
	require.NoError(t, os.WriteFile(program, found[1], 0o600))
	log, _ := episodeLog()
	var input strings.Builder
	for _, value := range log[:len(log)-1] { // of the topic of violations
		input.Write(value)
		input.WriteByte('\n')
	}
	cmd := exec.CommandContext(t.Context(), jq, "-s", "-c", "-f", program)
	cmd.Stdin = strings.NewReader(input.String())
	out, err := cmd.Output()
	require.NoError(t, err)
	assert.JSONEq(t, `{"level":"critical","rule":"cpu-high","who":"6f1f9f4c-1d3c-4c43-9c6e-0d6c2f6a9b11"}`, string(out))
}
