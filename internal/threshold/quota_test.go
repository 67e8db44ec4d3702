package threshold_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

// egress is a quota of 1000 bytes a window, changed by change.
func egress(w threshold.Window, change func(*threshold.Rule)) *threshold.Rule {
	r := &threshold.Rule{
		ID: "egress", Enabled: true, Resource: threshold.NetworkEgress, Type: threshold.Percentage, Unit: "%", Scale: 1,
		LimitWritten: 1000, LimitUnit: "By", Limit: 1000, Measure: &threshold.Measure{Metric: "vm.usage.network.io", Unit: "By", Sum: true},
		Warning: 80, Critical: 100, HasWarning: true, HasCritical: true, Direction: threshold.Above,
		Window: w, Timezone: time.UTC, Per: threshold.PerInstance,
	}
	if change != nil {
		change(r)
	}
	return r
}

func stream(n byte) uuid.UUID { return uuid.UUID{15: n} }

// period is what a stream used in a minute, sequence minutes after the start.
func period(start int64, sequence uint64, amount int64) threshold.Usage {
	from := start + int64(sequence)*minute
	return threshold.Usage{Stream: stream(1), First: sequence, Sequence: sequence, Start: from, End: from + minute, Amount: amount}
}

// add commits one period.
func add(e *threshold.Engine, r *threshold.Rule, s *threshold.Subject, u threshold.Usage) []threshold.Announcement {
	tx := e.Begin()
	defer tx.Commit()
	tx.AddUsage(r, s, "", u)
	return tx.Announcements()
}

func passes(e *threshold.Engine, at int64) []threshold.Announcement {
	tx := e.Begin()
	defer tx.Commit()
	tx.Tick(at)
	return tx.Announcements()
}

func TestQuotaSaysEachLevelOnce(t *testing.T) {
	e, r := threshold.New(unlimited()), egress(threshold.WindowMonth, nil)
	assert.Empty(t, add(e, r, vm("a"), period(t0, 1, 799)))
	got := add(e, r, vm("a"), period(t0, 2, 1))
	require.Len(t, got, 1)
	a := got[0]
	assert.Equal(t, threshold.Firing, a.State)
	assert.Equal(t, threshold.Warning, a.Level)
	assert.Equal(t, 80.0, a.Value)
	assert.Equal(t, 1000.0, a.Limit)
	assert.Equal(t, 1.0, a.Ratio)
	assert.Equal(t, t0, a.WindowStart)
	assert.Equal(t, t0, a.Since)
	assert.Equal(t, t0+30*24*60*minute, a.WindowEnd)
	assert.Empty(t, add(e, r, vm("a"), period(t0, 3, 199)))
	got = add(e, r, vm("a"), period(t0, 4, 1))
	require.Len(t, got, 1)
	assert.Equal(t, threshold.Critical, got[0].Level)
	assert.Equal(t, a.Episode, got[0].Episode)
	assert.Empty(t, add(e, r, vm("a"), period(t0, 5, 1<<40)))

	assert.Empty(t, passes(e, a.WindowEnd-1))
	got = passes(e, a.WindowEnd+7)
	require.Len(t, got, 1)
	assert.Equal(t, threshold.Resolved, got[0].State)
	assert.Equal(t, threshold.WindowEnded, got[0].Reason)
	assert.Equal(t, a.WindowEnd, got[0].At)
	assert.Empty(t, passes(e, a.WindowEnd+8))
	assert.Empty(t, add(e, r, vm("a"), period(a.WindowEnd, 6, 799)), "the next begins at 0")
	got = add(e, r, vm("a"), period(a.WindowEnd, 7, 1))
	require.Len(t, got, 1)
	assert.NotEqual(t, a.Episode, got[0].Episode)
}

func TestQuotaWindowEndsByThePeriodsAlone(t *testing.T) {
	e, r := threshold.New(unlimited()), egress(threshold.WindowHour, nil)
	add(e, r, vm("a"), period(t0, 1, 900))
	got := add(e, r, vm("a"), period(t0+60*minute, 2, 950))
	require.Len(t, got, 2)
	assert.Equal(t, threshold.Resolved, got[0].State)
	assert.Equal(t, threshold.Firing, got[1].State)
	assert.Equal(t, t0+60*minute, got[1].WindowStart)
}

func TestQuotaCountsAPeriodOnce(t *testing.T) {
	e, r := threshold.New(unlimited()), egress(threshold.WindowDay, nil)
	u := period(t0, 5, 400)
	tx := e.Begin()
	tx.AddUsage(r, vm("a"), "", u)
	tx.AddUsage(r, vm("a"), "", u)
	tx.Rollback()
	for range 3 {
		assert.Empty(t, add(e, r, vm("a"), u))
	}
	assert.EqualValues(t, 2, e.Stats().Repeated)
	e = restart(t, e, unlimited())
	assert.Empty(t, add(e, r, vm("a"), u))

	// What comes out of order counts: the fourth waited alone.
	assert.Empty(t, add(e, r, vm("a"), period(t0, 6, 399)))
	assert.Len(t, add(e, r, vm("a"), period(t0, 4, 1)), 1)
	assert.Empty(t, add(e, r, vm("a"), period(t0, 4, 200)))

	// One that was joined from several: new, known, known in part.
	joined := threshold.Usage{Stream: stream(1), First: 7, Sequence: 9, Start: t0 + 7*minute, End: t0 + 10*minute, Amount: 199}
	assert.Empty(t, add(e, r, vm("a"), joined))
	assert.Empty(t, add(e, r, vm("a"), joined))
	assert.Empty(t, add(e, r, vm("a"), period(t0, 8, 200)))
	joined.First, joined.Sequence = 9, 11
	assert.Empty(t, add(e, r, vm("a"), joined))
	assert.EqualValues(t, 1, e.Stats().Overlapping)
	// Another stream of the same instance.
	u = period(t0, 5, 1)
	u.Stream = stream(2)
	assert.Len(t, add(e, r, vm("a"), u), 1)
}

func TestQuotaSpreadsAPeriodOverWindows(t *testing.T) {
	e := threshold.New(unlimited())
	r := egress(threshold.WindowHour, func(r *threshold.Rule) { r.Warning, r.HasCritical = 0.1, false }) // 1 byte
	// 7 bytes, a third of the time in one hour and two in the next.
	u := threshold.Usage{Stream: stream(1), Sequence: 1, First: 1, Start: t0 + 59*minute, End: t0 + 62*minute, Amount: 7}
	got := add(e, r, vm("a"), u)
	require.Len(t, got, 3)
	assert.Equal(t, 0.2, got[0].Value)
	assert.Equal(t, threshold.Resolved, got[1].State)
	assert.Equal(t, 0.5, got[2].Value)

	// Three hours later: what was not measured apart is not judged.
	u = threshold.Usage{Stream: stream(1), Sequence: 2, First: 2, Start: t0 + 62*minute, End: t0 + 6*60*minute + 2*minute, Amount: 3000}
	got = add(e, r, vm("a"), u)
	var windows []int64
	for _, a := range got {
		if a.State == threshold.Firing {
			windows = append(windows, (a.WindowStart-t0)/60/minute)
		}
	}
	assert.Equal(t, []int64{5, 6}, windows, "of the second hour it was said before")
	assert.EqualValues(t, 1, e.Stats().Late)
}

func TestQuotaOfAWindowThatIsOver(t *testing.T) {
	e, r := threshold.New(unlimited()), egress(threshold.WindowHour, nil)
	assert.Empty(t, add(e, r, vm("a"), period(t0, 1, 700)))
	assert.Empty(t, add(e, r, vm("a"), period(t0, 61, 1)))
	got := add(e, r, vm("a"), period(t0, 2, 100))
	require.Len(t, got, 2, "said late, and that it is over")
	assert.Equal(t, threshold.Firing, got[0].State)
	assert.Equal(t, t0, got[0].WindowStart)
	assert.Equal(t, threshold.Resolved, got[1].State)
	got2 := add(e, r, vm("a"), period(t0, 3, 200))
	require.Len(t, got2, 2, "exceeded, too")
	assert.Equal(t, threshold.Critical, got2[0].Level)
	assert.NotEqual(t, got[1].ID, got2[1].ID)
	assert.Empty(t, add(e, r, vm("a"), period(t0-120*minute, 4, 9000)), "too late")
	assert.EqualValues(t, 1, e.Stats().Late)
	assert.Empty(t, add(e, r, vm("a"), period(t0, 62, 798)))
}

func TestQuotaOfOwners(t *testing.T) {
	for _, per := range []threshold.Per{threshold.PerUser, threshold.PerOrg} {
		e, r := threshold.New(unlimited()), egress(threshold.WindowDay, func(r *threshold.Rule) { r.Per = per })
		subject := func(id string) *threshold.Subject {
			return &threshold.Subject{InstanceID: id, UserID: "u", OrgID: "o", Labels: []threshold.Label{{Key: "k", Value: id}}}
		}
		first := period(t0, 1, 500)
		assert.Empty(t, add(e, r, subject("a"), first))
		second := period(t0, 1, 500)
		second.Stream = stream(2)
		got := add(e, r, subject("b"), second)
		require.Len(t, got, 1)
		assert.Equal(t, threshold.Critical, got[0].Level)
		assert.Empty(t, got[0].Subject.InstanceID)
		assert.Empty(t, got[0].Subject.Labels)
		assert.Empty(t, add(e, r, &threshold.Subject{InstanceID: "c"}, period(t0, 1, 5000)), "without an owner")
	}
}

func TestQuotaOfTheAllotment(t *testing.T) {
	e := threshold.New(unlimited())
	r := egress(threshold.WindowDay, func(r *threshold.Rule) {
		r.Limit, r.LimitWritten, r.Measure = 0, 0, &threshold.Measure{Metric: "vm.usage.cpu.time", Unit: "us", Other: "vm.usage.vcpu.provisioned", Combine: threshold.Over, Sum: true}
	})
	u := period(t0, 1, 79)
	u.Allotment = 100
	assert.Empty(t, add(e, r, vm("a"), u))
	u = period(t0, 2, 81)
	u.Allotment = 100
	got := add(e, r, vm("a"), u)
	require.Len(t, got, 1)
	assert.Equal(t, 80.0, got[0].Value)
	assert.Equal(t, 200.0, got[0].Limit)
	assert.Empty(t, add(e, r, vm("b"), period(t0, 1, 10)), "of nothing")
}

func TestHostileUsage(t *testing.T) {
	e, r := threshold.New(unlimited()), egress(threshold.WindowHour, nil)
	good := period(t0, 1, 1)
	for _, change := range []func(*threshold.Usage){
		func(u *threshold.Usage) { u.Amount = -1 },
		func(u *threshold.Usage) { u.Allotment = math.MinInt64 },
		func(u *threshold.Usage) { u.Start = u.End + 1 },
		func(u *threshold.Usage) { u.Start = 0 },
		func(u *threshold.Usage) { u.End = math.MaxInt64 },
		func(u *threshold.Usage) { u.First = 2 },
	} {
		u := good
		change(&u)
		assert.Empty(t, add(e, r, vm("a"), u))
	}
	assert.EqualValues(t, 6, e.Stats().Invalid)
	assert.Zero(t, e.Stats().Quotas)

	// 285 years in hours, and more than there is.
	huge := threshold.Usage{Stream: stream(9), First: 1, Sequence: math.MaxUint64, Start: 1, End: 9e18, Amount: math.MaxInt64}
	assert.NotEmpty(t, add(e, r, vm("b"), huge))
	empty := threshold.Usage{Stream: stream(9), First: 0, Sequence: 0, Start: 9e18, End: 9e18, Amount: math.MaxInt64}
	add(e, r, vm("b"), empty)
	assert.Equal(t, 1, e.Stats().Quotas)
}

func TestQuotaBounds(t *testing.T) {
	cfg := unlimited()
	cfg.MaxQuotas, cfg.MaxStreams, cfg.QuotaRetention = 2, 3, time.Hour
	e, r := threshold.New(cfg), egress(threshold.WindowHour, nil)
	for i, id := range []string{"a", "b", "c"} {
		assert.Len(t, add(e, r, vm(id), period(t0, 1, 2000)), map[bool]int{true: 1}[i < 2])
	}
	assert.EqualValues(t, 1, e.Stats().Refused)
	for i := range byte(5) {
		u := period(t0, 2, 1)
		u.Stream = stream(10 + i)
		add(e, r, vm("a"), u)
	}
	s := e.Stats()
	assert.EqualValues(t, 5, s.Refused)
	assert.Equal(t, 3, s.Streams)
	assert.Len(t, passes(e, t0+60*minute), 2)
	assert.Empty(t, passes(e, t0+120*minute-1))
	assert.Equal(t, 2, e.Stats().Quotas)
	assert.Empty(t, passes(e, t0+120*minute))
	s = e.Stats()
	assert.Zero(t, s.Quotas)
	assert.Zero(t, s.Streams)
	assert.Empty(t, stored(t, e), "nothing is left in the storage")
}

// Streams whose periods lie in windows that are gone are forgotten.
func TestQuotaForgetsStreams(t *testing.T) {
	e, r := threshold.New(unlimited()), egress(threshold.WindowHour, nil)
	for h := range byte(20) {
		u := period(t0+int64(h)*60*minute, 1, 1)
		u.Stream = stream(h)
		add(e, r, vm("a"), u)
	}
	assert.Equal(t, 2, e.Stats().Streams)
}

func TestPeriodsByThemselves(t *testing.T) {
	r := egress(threshold.WindowPeriod, nil)
	e := threshold.New(unlimited())
	assert.Len(t, add(e, r, vm("a"), period(t0, 1, 800)), 1)
	assert.Empty(t, add(e, r, vm("a"), period(t0, 1, 0)), "offered again")
	assert.Len(t, add(e, r, vm("a"), period(t0, 2, 10)), 1, "resolved")
	joined := threshold.Usage{Stream: stream(1), First: 3, Sequence: 5, Start: t0 + 3*minute, End: t0 + 6*minute, Amount: 3 * 799}
	assert.Empty(t, add(e, r, vm("a"), joined), "the mean of three")
	joined.First, joined.Sequence, joined.Start, joined.End, joined.Amount = 6, 8, joined.End, joined.End+3*minute, 3*1000
	got := add(e, r, vm("a"), joined)
	require.Len(t, got, 1)
	assert.Equal(t, threshold.Critical, got[0].Level)

	cfg := unlimited()
	cfg.Period = time.Minute
	e = threshold.New(cfg)
	recovered := threshold.Usage{Stream: stream(1), First: 1, Sequence: 1, Start: t0, End: t0 + 100*minute, Amount: 79_000}
	assert.Empty(t, add(e, r, vm("a"), recovered), "79 % a minute")
}
