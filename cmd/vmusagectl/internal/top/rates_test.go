package top

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// at is a reading of vm-1 so many seconds after an hour; change replaces members.
func at(t *testing.T, second int, members string) []Reading {
	t.Helper()
	if members != "" {
		members = "," + members
	}
	var r Reading
	require.NoError(t, json.Unmarshal(fmt.Appendf(nil, `{"id":"vm-1","at":"2026-11-25T01:00:%02dZ"%s}`, second, members), &r))
	return []Reading{r}
}

func disk(read, write string) string {
	return `"disks":[{"device":"vda","read_bytes":` + read + `,"write_bytes":` + write + `}]`
}

func TestRates(t *testing.T) {
	const host = `"host":{"id":"a"},`
	for _, test := range []struct {
		name          string
		before, after string
		read, write   any
	}{
		{"two readings, ten seconds apart", disk("100", "7"), disk("1100", "7"), 100.0, 0.0},
		{"a counter that went back is a reset", disk("100", "7"), disk("99", "17"), nil, 1.0},
		{"not known before", disk("null", "7"), disk("100", "7"), nil, 0.0},
		{"not known after", disk("100", "7"), disk("null", "7"), nil, 0.0},
		{"less than nothing", disk("-100", "0"), disk("100", "0"), nil, 0.0},
		{"a disk came", `"disks":[]`, disk("1000", "7"), nil, nil},
		{"a disk went", disk("1000", "7"), `"disks":[]`, nil, nil},
		{"another disk", disk("1000", "7"), `"disks":[{"device":"vdb","read_bytes":2000,"write_bytes":8}]`, nil, nil},
		{
			"two disks", `"disks":[{"device":"a","read_bytes":1,"write_bytes":1},{"device":"b","read_bytes":5,"write_bytes":5}]`,
			`"disks":[{"device":"b","read_bytes":25,"write_bytes":5},{"device":"a","read_bytes":31,"write_bytes":0}]`, 5.0, nil,
		},
		{"booted in between, though the counter is higher", `"uptime_seconds":3,` + disk("1", "1"), `"uptime_seconds":9,` + disk("100", "100"), nil, nil},
		{"booted in between, uptime not known before", disk("1", "1"), `"uptime_seconds":9,` + disk("100", "100"), nil, nil},
		{"an uptime that went back", `"uptime_seconds":100,` + disk("1", "1"), `"uptime_seconds":50,` + disk("100", "100"), nil, nil},
		{"up all the time", `"uptime_seconds":100,` + disk("1", "1"), `"uptime_seconds":110,` + disk("11", "21"), 1.0, 2.0},
		{"the same host", host + disk("1", "1"), host + disk("11", "21"), 1.0, 2.0},
		{"moved to another host", host + disk("1", "1"), `"host":{"id":"b"},` + disk("11", "21"), nil, nil},
		{"a host that is not known any more", host + disk("1", "1"), disk("11", "21"), nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var tracker Tracker
			assert.Equal(t, []Rates{{}}, tracker.Next(at(t, 0, test.before)), "one reading has no rate")
			got := tracker.Next(at(t, 10, test.after))
			for _, c := range []struct {
				want any
				got  rate
			}{{test.read, got[0].DiskRead}, {test.write, got[0].DiskWrite}} {
				if c.want == nil {
					assert.Nil(t, c.got)
				} else if assert.NotNil(t, c.got) {
					assert.Equal(t, c.want, *c.got)
				}
			}
			assert.Nil(t, got[0].NetReceive)
		})
	}
}

func TestRatesStayUntilItIsReadAgain(t *testing.T) {
	var tracker Tracker
	tracker.Next(at(t, 0, disk("0", "0")))
	first := tracker.Next(at(t, 10, disk("1000", "0")))
	again := tracker.Next(at(t, 10, disk("1000", "0")))
	require.NotNil(t, again[0].DiskRead)
	assert.Equal(t, *first[0].DiskRead, *again[0].DiskRead)
	next := tracker.Next(at(t, 20, disk("1500", "0")))
	assert.Equal(t, 50.0, *next[0].DiskRead)
	assert.Nil(t, tracker.Next(at(t, 15, disk("1600", "0")))[0].DiskRead, "a clock that went back")
}

func TestRatesAreOfOneInstance(t *testing.T) {
	var tracker Tracker
	tracker.Next(at(t, 0, disk("0", "0")))
	other := at(t, 10, disk("1000", "0"))
	other[0].ID = "vm-2"
	assert.Nil(t, tracker.Next(other)[0].DiskRead)
	assert.Nil(t, tracker.Next(at(t, 20, disk("1000", "0")))[0].DiskRead, "it was gone in between")
}

func TestAReadingWithoutATimeHasNoRate(t *testing.T) {
	var tracker Tracker
	tracker.Next(at(t, 0, disk("0", "0")))
	r := at(t, 10, disk("1000", "0"))
	r[0].At = nil
	assert.Nil(t, tracker.Next(r)[0].DiskRead)
	assert.Nil(t, tracker.Next(at(t, 20, disk("1000", "0")))[0].DiskRead)
}

func TestRatesOfTheNetwork(t *testing.T) {
	nic := func(in, out int) string {
		return fmt.Sprintf(`"network":[{"interface":"eth0","receive_bytes":%d,"transmit_bytes":%d}]`, in, out)
	}
	var tracker Tracker
	tracker.Next(at(t, 0, nic(0, 0)))
	rates := tracker.Next(at(t, 4, nic(2, 4)))
	assert.Equal(t, 0.5, *rates[0].NetReceive)
	assert.Equal(t, 1.0, *rates[0].NetTransmit)
	assert.Nil(t, rates[0].DiskRead)
	rows := Rows(&Snapshot{Readings: at(t, 4, nic(2, 4)), Asked: time.Date(2026, 11, 25, 1, 0, 6, 0, time.UTC)}, rates)
	assert.Equal(t, int64(2), *rows[0].NetReceiveTotal)
	assert.Equal(t, 2.0, *rows[0].Age)
}
