package render

import (
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/event"
)

var update = flag.Bool("update", false, "write the golden file anew")

// The events are some of those that internal/event is tested with.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var got strings.Builder
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		e, err := event.Decode(data)
		require.NoError(t, err, file)
		got.WriteString("# " + filepath.Base(file) + "\n" + Event(e, false))
		assert.Equal(t, Event(e, false), uncolored(Event(e, true)))
	}
	golden := filepath.Join("testdata", "events.golden")
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(got.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), got.String())
}

func uncolored(s string) string {
	for _, c := range []style{bold, dim, red, green, yellow, "0"} {
		s = strings.ReplaceAll(s, "\x1b["+string(c)+"m", "")
	}
	return s
}

func TestColorIsThere(t *testing.T) {
	assert.Contains(t, Event(&event.Event{InstanceID: "vm"}, true), "\x1b[1mvm\x1b[0m")
}

func TestNamesCannotDriveTheTerminal(t *testing.T) {
	e := &event.Event{InstanceID: "vm\x1b[2J\r\n\u009b31m\u202e", UserID: "a\nb", OrgID: "\x07"}
	s := Event(e, false)
	assert.NotContains(t, s, "\x1b")
	assert.NotContains(t, s, "\u009b")
	assert.NotContains(t, s, "\u202e")
	assert.Equal(t, 3, strings.Count(s, "\n"))
}

func TestPeriodOverMidnight(t *testing.T) {
	assert.Equal(t, "2021-07-15 12:00:00 - 12:00:30 UTC", period(1626350400, 1626350430))
	assert.Equal(t, "2021-07-15 23:59:30 - 2021-07-16 00:00:00 UTC", period(1626393570, 1626393600))
}

func TestOwner(t *testing.T) {
	assert.Equal(t, "none", owner("", ""))
	assert.Equal(t, "u", owner("u", ""))
	assert.Equal(t, "of o", owner("", "o"))
	assert.Equal(t, "u of o", owner("u", "o"))
}

func TestSize(t *testing.T) {
	for want, n := range map[string]float64{
		"0 B": 0, "1023 B": 1023, "1.00 KiB": 1024, "1.50 MiB": 3 << 19,
		"8.00 EiB": math.MaxInt64, "1048576.00 EiB": 1 << 80,
	} {
		assert.Equal(t, want, size(n))
	}
}

func TestOther(t *testing.T) {
	assert.Equal(t, "{ \"a\": \"\ufffd\" }\n", Other([]byte("{\n  \"a\":\t\"\u009b\"\n}\n")))
	assert.True(t, json.Valid([]byte(Other([]byte(`{"event_type":"x"}`)))))
}
