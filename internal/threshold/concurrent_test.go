package threshold_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

// A consumer that blocks stops nobody else: what it measures is tagged by others
// and left to it.
func TestTransactionsDoNotWait(t *testing.T) {
	e, r := threshold.New(unlimited()), levels(func(r *threshold.Rule) { r.HasClear, r.Clear = true, 70 })
	blocked := e.Begin()
	blocked.Observe(r, vm("a"), "", 85, 0, t0)
	require.Len(t, blocked.Announcements(), 1)

	other := e.Begin()
	assert.Equal(t, threshold.Critical, other.Observe(r, vm("a"), "", 99, 0, t0+1))
	assert.Equal(t, threshold.OK, other.Observe(r, vm("a"), "", 75, 0, t0+2), "what is not committed is not seen")
	assert.Equal(t, threshold.Warning, other.Observe(r, vm("b"), "", 85, 0, t0+1))
	other.Tick(t0 + 8*24*60*minute)
	require.Len(t, other.Announcements(), 2, "b, which is forgotten again")
	other.Commit()
	assert.EqualValues(t, 2, e.Stats().Contended)
	blocked.Commit()
	blocked.Rollback() // to no effect
	assert.Len(t, passes(e, t0+8*24*60*minute), 1)
}

// Amounts of transactions at the same time all count, and the same period once.
func TestAmountsAddUp(t *testing.T) {
	e, r := threshold.New(unlimited()), egress(threshold.WindowDay, func(r *threshold.Rule) { r.Per = threshold.PerUser })
	use := func(n byte, amount int64) threshold.Usage {
		u := period(t0, 1, amount)
		u.Stream = stream(n)
		return u
	}
	a, b, again, refused := e.Begin(), e.Begin(), e.Begin(), e.Begin()
	a.AddUsage(r, vm("a"), "", use(1, 400))
	b.AddUsage(r, vm("b"), "", use(2, 399))
	again.AddUsage(r, vm("a"), "", use(1, 400))
	refused.AddUsage(r, vm("c"), "", use(3, 400))
	for _, tx := range []*threshold.Tx{a, b, again} {
		assert.Empty(t, tx.Announcements())
		tx.Commit()
	}
	refused.Rollback()
	got := add(e, r, vm("d"), use(4, 1))
	require.Len(t, got, 1)
	assert.Equal(t, 80.0, got[0].Value)

	// Two that pass a limit at the same time say so under one id.
	c, d := e.Begin(), e.Begin()
	c.AddUsage(r, vm("e"), "", use(5, 200))
	d.AddUsage(r, vm("f"), "", use(6, 200))
	require.Len(t, c.Announcements(), 1)
	require.Len(t, d.Announcements(), 1)
	assert.Equal(t, c.Announcements()[0].ID, d.Announcements()[0].ID)
	c.Commit()
	d.Commit()
	assert.Empty(t, add(e, r, vm("g"), use(7, 1)))
	assert.Len(t, passes(e, t0+24*60*minute), 1)
}

// Whatever happens at the same time: per episode it fires before it is resolved,
// no amount is lost, and the storage has what the engine has.
func TestConcurrentTransactions(t *testing.T) {
	cfg := unlimited()
	cfg.MaxEpisodes = 50
	e := threshold.New(cfg)
	r, q := levels(nil), egress(threshold.WindowDay, func(r *threshold.Rule) { r.Warning, r.Critical = 1e9, 2e9; r.Per = threshold.PerUser })
	s := store{}
	var wg sync.WaitGroup
	var mu sync.Mutex
	all := map[uuid.UUID][]threshold.Announcement{}
	const workers, rounds = 6, 300
	for w := range workers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(w)))
			for i := range rounds {
				tx := e.Begin()
				for range 5 {
					tx.Observe(r, vm(fmt.Sprint(random.IntN(20))), "", 60+40*random.Float64(), 0, t0+int64(i)*second+int64(w))
				}
				u := period(t0, uint64(i+1), 1)
				u.Stream = stream(byte(w))
				u.Start, u.End = t0+int64(i)*second, t0+int64(i+1)*second
				tx.AddUsage(q, vm(fmt.Sprint(w)), "", u)
				tx.Tick(t0 + int64(i)*second)
				if random.IntN(4) == 0 {
					tx.Rollback()
					tx = e.Begin()
					tx.AddUsage(q, vm(fmt.Sprint(w)), "", u)
				}
				mu.Lock()
				for _, a := range tx.Announcements() {
					all[a.Episode] = append(all[a.Episode], a)
				}
				tx.Commit()
				mu.Unlock()
				if i%20 == 0 {
					if err := e.Flush(s.write); err != nil {
						t.Error(err)
					}
					e.Replace(func(id string, _ *threshold.Subject) *threshold.Rule {
						return map[string]*threshold.Rule{r.ID: r, q.ID: q}[id]
					})
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, e.Flush(s.write))
	for id, list := range all {
		for i, a := range list {
			assert.Equal(t, i == len(list)-1 && a.State == threshold.Resolved, a.State == threshold.Resolved, "%s: %v", id, list)
		}
	}
	next := threshold.New(cfg)
	require.NoError(t, next.Restore(s))
	a, b := e.Stats(), next.Stats()
	a.Counters, b.Counters = threshold.Counters{}, threshold.Counters{}
	assert.Equal(t, a, b)

	// All amounts are there: one byte is missing, and then it is not.
	total := int64(workers * rounds)
	last := *q
	last.Warning, last.HasCritical = 100*float64(total+2)/1000, false
	u := period(t0, 1, 1)
	u.Stream = stream(99)
	assert.Empty(t, add(next, &last, vm("x"), u))
	u.Stream = stream(100)
	assert.Len(t, add(next, &last, vm("x"), u), 1)
}

// Ten million instances come and go; what is remembered stays bounded, and who
// is there at last is not crowded out by who has gone.
func TestChurn(t *testing.T) {
	cfg := threshold.Config{MaxEpisodes: 1000, MaxQuotas: 1000, Remember: time.Minute}
	e := threshold.New(cfg)
	r := levels(func(r *threshold.Rule) { r.NoData, r.NoDataAfter = threshold.NoDataResolve, time.Second })
	q := egress(threshold.WindowHour, nil)
	n := 200_000
	if testing.Short() {
		n = 20_000
	}
	var at int64
	for i := range n {
		at = t0 + int64(i)*2*second/1000
		tx := e.Begin()
		s := vm(fmt.Sprint(i))
		s.UserID = s.InstanceID
		tx.Observe(r, s, "", 99, 0, at)
		u := period(t0, 1, 2000)
		u.Start, u.End = at, at+1
		tx.AddUsage(q, s, "", u)
		tx.Tick(at)
		tx.Commit()
		if i%1000 == 0 {
			s := e.Stats()
			require.LessOrEqual(t, s.Pending+s.Ended+s.Firing[1]+s.Firing[2]-s.Quotas, 1000)
			require.LessOrEqual(t, s.Quotas, 1000)
		}
	}
	before := e.Stats().Announced[threshold.KindTransition]
	assert.Len(t, observe(e, r, vm("new"), 99, at+10*minute), 1)
	assert.Equal(t, before+1, e.Stats().Announced[threshold.KindTransition])
	assert.NotZero(t, e.Stats().Refused, "quotas")
}

func TestEpisodesThatBeginAgainNeedRoom(t *testing.T) {
	cfg := unlimited()
	cfg.MaxEpisodes = 2
	e, r := threshold.New(cfg), levels(nil)
	for _, value := range []float64{99, 1} {
		for i, id := range []string{"a", "b"} {
			require.Len(t, observe(e, r, vm(id), value, t0+int64(100-value)*second+int64(i)), 1)
		}
	}
	for _, commit := range []bool{false, false, true} {
		tx := e.Begin()
		for _, id := range []string{"a", "c", "b", "d"} {
			assert.Equal(t, threshold.Critical, tx.Observe(r, vm(id), "", 99, 0, t0+minute*5))
		}
		require.Len(t, tx.Announcements(), 2)
		assert.Equal(t, "a", tx.Announcements()[0].Subject.InstanceID)
		assert.Equal(t, "c", tx.Announcements()[1].Subject.InstanceID)
		if commit {
			tx.Commit()
		} else {
			tx.Rollback()
		}
	}
	s := e.Stats()
	assert.EqualValues(t, 2, s.Refused)
	assert.Equal(t, 2, s.Firing[threshold.Critical])
	assert.Zero(t, s.Ended, "those that are over made room")
}

// Of two transactions the one that is committed last may be the one that announced.
func TestWhatIsMergedWasAnnounced(t *testing.T) {
	e, r := threshold.New(unlimited()), egress(threshold.WindowDay, func(r *threshold.Rule) { r.Per = threshold.PerUser })
	first, last := e.Begin(), e.Begin()
	first.AddUsage(r, vm("a"), "", period(t0, 1, 10))
	u := period(t0, 1, 850)
	u.Stream = stream(2)
	last.AddUsage(r, vm("b"), "", u)
	require.Len(t, last.Announcements(), 1)
	first.Commit()
	last.Commit()
	assert.Empty(t, add(e, r, vm("a"), period(t0, 2, 1)))
	assert.Len(t, add(e, r, vm("a"), period(t0, 3, 139)), 1, "1000, all told")
}

// What is due by time alone is said in the order in which it was due, however
// often measurements put it off.
func TestTicksAreInOrder(t *testing.T) {
	e, r := threshold.New(unlimited()), levels(func(r *threshold.Rule) { r.NoData, r.NoDataAfter = threshold.NoDataResolve, time.Minute })
	observe(e, r, vm("a"), 85, t0)
	observe(e, r, vm("b"), 85, t0+1)
	observe(e, r, vm("a"), 85, t0+2)
	got := passes(e, t0+5*minute)
	require.Len(t, got, 2)
	assert.Equal(t, "b", got[0].Subject.InstanceID)
	assert.Equal(t, "a", got[1].Subject.InstanceID)
}
