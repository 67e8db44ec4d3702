package e2e

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// A proof is what the records of one topic say once repeats are dropped. It
// shares no code with `vmusagectl verify`, which has to find the same.
type proof struct {
	streams   [][]record // distinct events, in order
	events    int        // distinct ones
	repeats   int
	recovered int // events whose CPU time was bridged over an outage
	gaps      int // events in which something is not known
	sums      usage.Amounts
}

// prove checks what must hold of any records: a repeated id has the same bytes,
// the sequences of a stream begin at 1 and have no holes, each period starts
// where the one before ended, and the totals are the sums of the usage.
func prove(t *testing.T, rs []record) *proof {
	t.Helper()
	p := &proof{}
	byID := map[uuid.UUID]record{}
	byStream := map[uuid.UUID][]record{}
	for _, r := range rs {
		require.NotNil(t, r.event.Period)
		if was, repeated := byID[r.event.ID]; repeated {
			p.repeats++
			require.Equal(t, string(was.Value), string(r.Value), "a repeated id has the same content")
			require.True(t, bytes.Equal(was.Key, r.Key) && was.Timestamp.Equal(r.Timestamp) && was.Partition == r.Partition)
			continue
		}
		byID[r.event.ID] = r
		stream := r.event.Period.Stream.ID
		byStream[stream] = append(byStream[stream], r)
	}
	p.events = len(byID)
	for _, stream := range byStream {
		slices.SortFunc(stream, func(a, b record) int {
			return int(int64(a.event.Period.Sequence) - int64(b.event.Period.Sequence)) //nolint:gosec // small
		})
		p.addStream(t, stream)
	}
	slices.SortFunc(p.streams, func(a, b []record) int {
		return int(min(max(a[0].event.Period.Stream.Start-b[0].event.Period.Stream.Start, -1), 1))
	})
	return p
}

func (p *proof) addStream(t *testing.T, stream []record) {
	t.Helper()
	var sums usage.Amounts
	sequence, end := uint64(0), stream[0].event.Period.Start
	for _, r := range stream {
		period := r.event.Period
		require.Equal(t, sequence+uint64(max(period.Joined, 1)), period.Sequence, "no sequence is missing or there twice")
		require.Equal(t, end, period.Start, "sequence %d starts where the one before ended", period.Sequence)
		require.LessOrEqual(t, period.Start, period.End)
		sequence, end = period.Sequence, period.End
		for m := range period.Metered.All() {
			require.GreaterOrEqual(t, period.Usage[m], int64(0))
			sums[m] += period.Usage[m]
			require.Equal(t, sums[m], period.Totals[m], "total of %s at sequence %d", m, period.Sequence)
		}
		if period.Quality[usage.CPUTime] == usage.Recovered {
			p.recovered++
		}
		if period.WorstQuality() == usage.Gap {
			p.gaps++
		}
	}
	for m, sum := range sums {
		p.sums[m] += sum
	}
	p.streams = append(p.streams, stream)
}

// only returns the events of the one stream that there is.
func (p *proof) only(t *testing.T) []record {
	t.Helper()
	require.Len(t, p.streams, 1, "one ledger, one stream")
	return p.streams[0]
}

// counters checks that no counter of any period is unknown: what the kernel
// counts survives the collector.
func (p *proof) counters(t *testing.T) {
	t.Helper()
	for _, r := range p.only(t) {
		for _, m := range counted {
			require.LessOrEqual(t, r.event.Period.Quality[m], usage.Recovered, "%s at sequence %d", m, r.event.Period.Sequence)
		}
	}
}

// A report is what `vmusagectl verify --json` prints.
type report struct {
	Proven                bool
	Events, Repeats, Gaps int
	Recovered             int
	Instances             []struct {
		Streams []struct{ ID string }
	}
	Violations []json.RawMessage
}

// verify has vmusagectl prove the same as p, and compares what they found.
func verify(t *testing.T, kafka string, p *proof) {
	t.Helper()
	out, err := run(t, "", binary(t, "vmusagectl"), "verify", "--brokers", kafka, "--json")
	require.NoError(t, err, out)
	var r report
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	assert.True(t, r.Proven)
	assert.Empty(t, r.Violations)
	assert.Equal(t, p.events, r.Events)
	assert.Equal(t, p.repeats, r.Repeats)
	assert.Equal(t, p.gaps, r.Gaps)
	require.Len(t, r.Instances, 1)
	require.Len(t, r.Instances[0].Streams, len(p.streams))
	for i, s := range r.Instances[0].Streams {
		assert.Equal(t, p.streams[i][0].event.Period.Stream.ID.String(), s.ID)
	}
}
