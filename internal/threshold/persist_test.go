package threshold_test

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
	"github.com/vmusage/otelcol-vmusage/internal/wire"
)

// store is a storage in memory.
type store map[string][]byte

func (s store) write(changes []threshold.Change) error {
	for _, c := range changes {
		if c.Value == nil {
			delete(s, c.Key)
		} else {
			s[c.Key] = c.Value
		}
	}
	return nil
}

// stored is what an engine that never wrote before writes.
func stored(t testing.TB, e *threshold.Engine) store {
	t.Helper()
	s := store{}
	require.NoError(t, e.Flush(s.write))
	return s
}

// restart returns an engine with what another one wrote, which never wrote before.
func restart(t testing.TB, e *threshold.Engine, cfg threshold.Config) *threshold.Engine {
	t.Helper()
	next := threshold.New(cfg)
	require.NoError(t, next.Restore(stored(t, e)))
	return next
}

func TestRestartInMidEpisode(t *testing.T) {
	r := levels(func(r *threshold.Rule) {
		r.For, r.KeepFiringFor, r.Channels, r.Labels = 2*minute2, minute2, []string{"pager"}, []threshold.Label{{Key: "team", Value: "x"}}
	})
	s := store{}
	e := threshold.New(unlimited())
	step := func(at int64, value float64) []threshold.Announcement {
		tx := e.Begin()
		tx.Observe(r, vm("a"), "sda", value, 7, at)
		tx.Tick(at)
		tx.Commit()
		require.NoError(t, e.Flush(s.write))
		e = threshold.New(unlimited())
		require.NoError(t, e.Restore(s))
		return tx.Announcements()
	}
	assert.Empty(t, step(t0, 85))
	assert.Empty(t, step(t0+minute, 85))
	fired := step(t0+2*minute, 85)
	require.Len(t, fired, 1)
	assert.Equal(t, t0, fired[0].Since)
	assert.Empty(t, step(t0+3*minute, 85))
	assert.Empty(t, step(t0+4*minute, 1))
	// The rule went while nobody looked; its time goes on.
	tx := e.Begin()
	tx.Tick(t0 + 5*minute)
	over := tx.Announcements()
	require.Len(t, over, 1)
	assert.Equal(t, fired[0].Episode, over[0].Episode)
	assert.Equal(t, []string{"pager"}, over[0].Rule.Channels)
	assert.Equal(t, r.Labels, over[0].Rule.Labels)
	assert.Equal(t, *vm("a"), over[0].Subject)
	assert.Equal(t, "sda", over[0].Series)
	tx.Rollback()
	over2 := step(t0+5*minute, 1)
	require.Len(t, over2, 1)
	assert.Equal(t, over[0].ID, over2[0].ID)
	assert.Empty(t, step(t0+5*minute, 99), "offered again")
}

const minute2 = 60e9

func TestSilenceCountsFromTheRestart(t *testing.T) {
	r := levels(func(r *threshold.Rule) { r.NoData, r.NoDataAfter = threshold.NoDataResolve, minute2 })
	e := threshold.New(unlimited())
	tx := e.Begin()
	tx.Observe(r, vm("a"), "", 85, 0, t0)
	tx.Commit()
	e = restart(t, e, unlimited())
	assert.Empty(t, passes(e, t0+60*minute))
	assert.Empty(t, passes(e, t0+61*minute-1))
	got := passes(e, t0+61*minute)
	require.Len(t, got, 1)
	assert.Equal(t, threshold.NotMeasured, got[0].Reason)
}

func TestFlushWritesWhatChanged(t *testing.T) {
	e, r := threshold.New(unlimited()), levels(nil)
	for i := range 2000 {
		tx := e.Begin()
		tx.Observe(r, vm(string(rune('a'+i%26))+string(rune(0x4e00+i))), "", 85, 0, t0)
		tx.Commit()
	}
	all := stored(t, e)
	one := func(at int64, value float64) (n int) {
		tx := e.Begin()
		tx.Observe(r, vm("a\u4e00"), "", value, 0, at)
		tx.Commit()
		require.NoError(t, e.Flush(func(c []threshold.Change) error { n = len(c); return all.write(c) }))
		return n
	}
	assert.Zero(t, one(t0+1, 86), "still")
	assert.Equal(t, 1, one(t0+2, 99))
	tx := e.Begin()
	tx.Observe(r, vm("a\u4e00"), "", 1, 0, t0+3)
	tx.Commit()
	full := errors.New("disk full")
	require.ErrorIs(t, e.Flush(func([]threshold.Change) error { return full }), full)
	n := 0
	require.NoError(t, e.Flush(func(c []threshold.Change) error { n = len(c); return all.write(c) }))
	assert.Equal(t, 1, n, "again what was not written")
	next := threshold.New(unlimited())
	require.NoError(t, next.Restore(all))
	assert.Equal(t, e.Stats().Firing, next.Stats().Firing)
}

// seeds are two shards with all that there is.
func seeds(t testing.TB) store {
	e, r := threshold.New(unlimited()), levels(func(r *threshold.Rule) { r.HasClear, r.Clear = true, 70 })
	q := egress(threshold.WindowDay, nil)
	tx := e.Begin()
	subject := &threshold.Subject{InstanceID: "a", UserID: "u", OrgID: "o", Labels: []threshold.Label{{Key: "k", Value: "v"}}}
	tx.Observe(r, subject, "s", 99, 5, t0)
	tx.Observe(r, subject, "x", 99, 5, t0)
	tx.Observe(r, subject, "x", 1, 5, t0+1)
	tx.AddUsage(q, subject, "", period(t0, 1, 900))
	tx.AddUsage(q, subject, "", period(t0, 3, 900))
	u := period(t0+24*60*minute, 4, 1)
	u.Stream = stream(2)
	tx.AddUsage(q, subject, "", u)
	tx.Commit()
	return stored(t, e)
}

func TestDamagedValues(t *testing.T) {
	s := seeds(t)
	require.Len(t, s, 1)
	key := slices.Collect(maps.Keys(s))[0]
	value := s[key]
	visit := func(bad []byte) {
		e := threshold.New(unlimited())
		err := e.Restore(store{key: bad, "other": value})
		var ve *threshold.ValueError
		require.ErrorAs(t, err, &ve)
		assert.Equal(t, key, ve.Key)
		assert.Equal(t, 1, e.Stats().Firing[threshold.Critical], "the other one is read")
	}
	for i := range value {
		visit(value[:i])
		b := slices.Clone(value)
		b[i] ^= 1 << (i % 8)
		visit(b)
	}
	newer := slices.Clone(value[:len(value)-4])
	newer[5] = wire.Format + 1
	require.ErrorIs(t, threshold.New(unlimited()).Restore(store{"k": wire.Seal(newer)}), wire.ErrNewer)
	require.ErrorIs(t, threshold.New(unlimited()).Restore(store{"k": wire.Seal(wire.Begin(nil, wire.KindChunk))}), wire.ErrForeign)
}

// FuzzRestore: whatever is read with a right checksum, the engine works, and
// writes what it can read.
func FuzzRestore(f *testing.F) {
	for _, v := range seeds(f) {
		f.Add(v[6 : len(v)-4])
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, payload []byte) {
		cfg := unlimited()
		cfg.MaxEpisodes, cfg.MaxQuotas = 100, 100
		e := threshold.New(cfg)
		if e.Restore(store{"k": wire.Seal(append(wire.Begin(nil, wire.KindEpisodes), payload...))}) != nil {
			return
		}
		tx := e.Begin()
		tx.Tick(t0)
		tx.Observe(levels(nil), vm("a"), "s", 99, 0, t0)
		tx.AddUsage(egress(threshold.WindowDay, nil), vm("a"), "", period(t0, 2, 900))
		tx.Tick(t0 + 400*24*60*minute)
		tx.Commit()
		again := store{}
		require.NoError(t, e.Flush(again.write))
		require.NoError(t, threshold.New(cfg).Restore(again))
		e.Replace(func(string, *threshold.Subject) *threshold.Rule { return nil })
		tx = e.Begin()
		tx.Tick(t0 + 401*24*60*minute)
		tx.Commit()
	})
}
