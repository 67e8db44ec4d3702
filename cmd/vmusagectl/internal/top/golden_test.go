package top

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// golden compares with a file; `go test -update` writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

func noon() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

// fleet is a poll of all kinds of instances, n seconds after noon.
func fleet(t *testing.T, n int) *Snapshot {
	t.Helper()
	const gib = 1 << 30
	instance := func(id, name, rest string) string {
		quoted, err := json.Marshal(name)
		require.NoError(t, err)
		return fmt.Sprintf(`{"id":%q,"name":%s,"at":%q,%s}`, id, quoted,
			noon().Add(time.Duration(n-3)*time.Second).Format(time.RFC3339Nano), rest)
	}
	use := func(level string, cpu float64, cpus, used, limit, moved int) string {
		return fmt.Sprintf(`"user_id":"user-1","org_id":"org-7","thresholds":{"level":"%s"},"cpu":{"utilization":%g,"count":%d},
			"memory":{"used_bytes":%d,"limit_bytes":%d,"utilization":%g},
			"disks":[{"device":"vda","read_bytes":%d,"write_bytes":%d}],"network":[{"interface":"eth0","receive_bytes":%d,"transmit_bytes":0}]`,
			level, cpu, cpus, used, limit, float64(used)/float64(limit), moved*n, moved*n/2, moved*n*100)
	}
	var p Page
	require.NoError(t, p.UnmarshalJSON([]byte(`{"next_cursor":null,"instances":[`+strings.Join([]string{
		instance("vm-1", "web-1", use("ok", 0.125, 4, 2*gib, 8*gib, 1000)),
		instance("vm-2", "db", use("critical", 0.998, 16, 60*gib, 64*gib, 50_000_000)),
		instance("vm-3", "a name that is far too long for a table of any use", use("warning", 0.5, 2, gib, 4*gib, 0)),
		instance("vm-4", "", use("ok", 0.0004, 1, 1, gib, 3)+`,"gpus":[{"utilization":0.25},{"utilization":0.75},{"utilization":null}]`),
		instance("vm-5", "日本語の仮想マシン", use("ok", 0.3, 2, gib, 2*gib, 2048)),
		instance("vm-6", "evil\x1b[2J\u009b31m\u202e\ufe0fx", use(`ok\u001b[31m`, 0.2, 2, gib, 2*gib, 10)),
		`{"id":"vm-7","name":"new","at":null,"user_id":null,"org_id":null,"cpu":{},"memory":{},"disks":[],"network":[],"gpus":[],"uptime_seconds":null,"thresholds":{"level":"ok"}}`,
	}, ",")+`]}`)))
	return &Snapshot{Readings: p.Instances, Health: Health{Status: "degraded", Detail: "exporter usage_event: Kafka cannot\nbe reached"}, Asked: noon().Add(time.Duration(n) * time.Second)}
}

// screenOf has seen two polls.
func screenOf(t *testing.T, width, height int, color bool) *Screen {
	t.Helper()
	s := &Screen{Title: "vmusagectl top  http://127.0.0.1:8080", Color: color}
	s.Resize(width, height)
	s.Update(fleet(t, 10), noon().Add(10*time.Second))
	s.Update(fleet(t, 20), noon().Add(20*time.Second))
	return s
}

func TestScreens(t *testing.T) {
	for _, test := range []struct {
		name          string
		width, height int
		color         bool
	}{
		{"200x20", 200, 20, false},
		{"120x20", 120, 20, true},
		{"80x10", 80, 10, false},
		{"40x12", 40, 12, false},
		{"9x8", 9, 8, true},
		{"80x3", 80, 3, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := screenOf(t, test.width, test.height, test.color)
			lines := s.Frame(noon().Add(22 * time.Second))
			golden(t, "screen-"+test.name+".txt", strings.Join(lines, "\n")+"\n")
			assert.LessOrEqual(t, len(lines), test.height)
			s.Color = false
			for _, line := range s.Frame(noon().Add(22 * time.Second)) {
				assert.LessOrEqual(t, columns(line), test.width, "%q", line)
				assert.Equal(t, clean(line), line, "nothing that a terminal obeys")
			}
		})
	}
}

func TestTheScreenBeforeAndAfterAnswers(t *testing.T) {
	s := &Screen{Title: "t"}
	s.Resize(60, 10)
	assert.Equal(t, "asking", s.Frame(noon())[2])
	s.Fail("dial: refused\nis it running?")
	assert.Equal(t, "dial: refused; is it running?", s.Frame(noon())[2])
	s.Update(fleet(t, 10), noon())
	assert.Contains(t, s.Frame(noon())[3], "CPU ")
	s.Fail("dial: refused")
	assert.Equal(t, "as of 7s ago: dial: refused", s.Frame(noon().Add(7 * time.Second))[3])
	assert.Contains(t, strings.Join(s.Frame(noon()), "\n"), "\ndb ", "the last answer stays")
	s.Update(&Snapshot{Asked: noon()}, noon())
	assert.Equal(t, []string{"health not for this key", "0 instances", ""}, s.Frame(noon())[1:4])
}

func TestTables(t *testing.T) {
	var tracker Tracker
	tracker.Next(fleet(t, 10).Readings)
	s := fleet(t, 20)
	rows := Rows(s, tracker.Next(s.Readings))
	Sort(rows, ByState, false)
	golden(t, "table.txt", Table(rows, ByState, false, 0, false))
	golden(t, "table-80-color.txt", Table(rows, ByState, false, 80, true))
	var b strings.Builder
	require.NoError(t, WriteJSON(&b, rows))
	golden(t, "table.json", b.String())
}
