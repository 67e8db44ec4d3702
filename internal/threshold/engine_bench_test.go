package threshold_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

const many = 10_000

func subjects() []*threshold.Subject {
	s := make([]*threshold.Subject, many)
	for i := range s {
		s[i] = vm(fmt.Sprintf("6f1f9f4c-1d3c-4c43-9c6e-%012d", i))
	}
	return s
}

// firing is an engine with many episodes.
func firing(b testing.TB, r *threshold.Rule, all []*threshold.Subject) *threshold.Engine {
	b.Helper()
	e := threshold.New(unlimited())
	tx := e.Begin()
	for _, s := range all {
		tx.Observe(r, s, "", 85, 0, t0)
	}
	tx.Commit()
	require.Equal(b, many, e.Stats().Firing[threshold.Warning])
	return e
}

func BenchmarkObserve(b *testing.B) {
	all := subjects()
	for _, bm := range []struct {
		name     string
		episodes bool
		value    float64
	}{{"nothing", false, 50}, {"good beside 10000 that fire", true, 50}, {"one of 10000 that fire", true, 85}} {
		b.Run(bm.name, func(b *testing.B) {
			r, other := levels(nil), levels(func(r *threshold.Rule) { r.ID = "other" })
			e := threshold.New(unlimited())
			if bm.episodes {
				e = firing(b, r, all)
			}
			if bm.value == 50 {
				r = other
			}
			tx := e.Begin()
			i, at := 0, t0
			b.ReportAllocs()
			for b.Loop() {
				if i++; i == many {
					i = 0
					at += second
					tx.Commit()
					tx = e.Begin()
				}
				tx.Observe(r, all[i], "", bm.value, 0, at)
			}
		})
	}
}

func BenchmarkAddUsage(b *testing.B) {
	all := subjects()
	e, r := threshold.New(unlimited()), egress(threshold.WindowMonth, nil)
	tx := e.Begin()
	i, u := 0, period(t0, 1, 0)
	b.ReportAllocs()
	for b.Loop() {
		if i++; i == many {
			i = 0
			tx.Commit()
			tx = e.Begin()
			u.First, u.Sequence, u.Start, u.End = u.First+1, u.Sequence+1, u.End, u.End+1
		}
		tx.AddUsage(r, all[i], "", u)
	}
}

// BenchmarkCommit is of a batch in which 10,000 episodes go on, and nothing else happens.
func BenchmarkCommit(b *testing.B) {
	all := subjects()
	r := levels(nil)
	e := firing(b, r, all)
	at := t0
	b.ReportAllocs()
	for b.Loop() {
		at++
		tx := e.Begin()
		for _, s := range all {
			tx.Observe(r, s, "", 85, 0, at)
		}
		tx.Tick(at)
		tx.Commit()
	}
}

func BenchmarkFlush(b *testing.B) {
	all := subjects()
	r := levels(nil)
	for _, changed := range []int{1, 100, many} {
		b.Run(fmt.Sprintf("%d of 10000", changed), func(b *testing.B) {
			e := firing(b, r, all)
			require.NoError(b, e.Flush(func([]threshold.Change) error { return nil }))
			at, size := t0, 0
			b.ReportAllocs()
			for b.Loop() {
				at++
				tx := e.Begin()
				for _, s := range all[:changed] {
					tx.Observe(r, s, "", 85+float64(at%2)*11, 0, at)
				}
				tx.Commit()
				size = 0
				_ = e.Flush(func(changes []threshold.Change) error {
					for _, c := range changes {
						size += len(c.Value)
					}
					return nil
				})
			}
			b.ReportMetric(float64(size), "B/flush")
		})
	}
}

func BenchmarkRestore(b *testing.B) {
	s := stored(b, firing(b, levels(nil), subjects()))
	b.ReportAllocs()
	for b.Loop() {
		require.NoError(b, threshold.New(unlimited()).Restore(s))
	}
}

// BenchmarkReplace is a reload with 10,000 episodes.
func BenchmarkReplace(b *testing.B) {
	r := levels(nil)
	e := firing(b, r, subjects())
	b.ReportAllocs()
	for b.Loop() {
		next := *r
		e.Replace(only(&next))
	}
}

// What nobody wants to know costs nothing.
func TestObserveAllocatesNothing(t *testing.T) {
	e, r, s := threshold.New(unlimited()), levels(nil), vm("a")
	tx := e.Begin()
	require.Zero(t, testing.AllocsPerRun(100, func() { tx.Observe(r, s, "", 50, 0, t0) }))
	tx.Commit()
}
