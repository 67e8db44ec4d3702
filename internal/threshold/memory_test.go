package threshold

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestEverNewInstances: instances that come and go for ever, as of a fleet that
// makes a new one for each job, leave no more than the bounds say. They are 60,000
// here, many times what is remembered of them; what 10 million leave is no more.
func TestEverNewInstances(t *testing.T) {
	set := compile(t, parse(t, `[
		{id: cpu, resource: cpu, type: percentage, warning: 80, no_data: resolve, no_data_after: 1m},
		{id: egress, resource: network_egress, type: absolute, unit: GBy, warning: 1, window: hour},
		{id: org, resource: cpu, type: percentage, warning: 80, selector: {org_id: [o1, o2, o3], labels: {env: prod}}}]`)...)
	set.cache.size = 1000
	e := New(Config{MaxEpisodes: 1000, MaxQuotas: 1000, MaxStreams: 2000})
	n := 60_000
	if testing.Short() {
		n /= 10
	}
	const second, base = int64(time.Second), int64(1_782_864_000) * int64(time.Second)
	subject := Subject{Labels: []Label{{"env", "prod"}}}
	for i := range n {
		at := base + int64(i)*second/20 // 20 new ones a second
		subject.InstanceID, subject.UserID, subject.OrgID = fmt.Sprint("vm-", i), fmt.Sprint("u-", i), fmt.Sprint("o", i%5)
		tx := e.Begin()
		for _, rule := range set.Match(&subject).Rules() {
			if rule.Calendar() {
				tx.AddUsage(rule, &subject, "", Usage{Stream: [16]byte{byte(i), byte(i >> 8), byte(i >> 16), 1}, First: 1, Sequence: 1, Start: at, End: at + 1, Amount: 2e9})
			} else {
				tx.Observe(rule, &subject, "", 99, 0, at)
			}
		}
		tx.Tick(at)
		if i%3 == 0 {
			tx.Rollback()
		} else {
			tx.Commit()
		}
		if i%1000 != 0 {
			continue
		}
		require.LessOrEqual(t, len(set.cache.young), 1000)
		require.LessOrEqual(t, len(set.cache.old), 1000)
		require.LessOrEqual(t, len(set.cache.sets), 2, "lists of rules are shared")
		require.LessOrEqual(t, len(e.entries), 1000)
		require.LessOrEqual(t, len(e.quotas), 1000)
		require.LessOrEqual(t, e.streams, 2000)
		require.LessOrEqual(t, len(e.timers), len(e.entries)+len(e.quotas))
		require.LessOrEqual(t, e.closed.Len(), len(e.entries))
		require.LessOrEqual(t, len(e.limits.buckets), 3000, "of owners, whose debt is paid in time")
		require.LessOrEqual(t, len(e.free), maxFree)
	}
	s := e.Stats()
	require.NotZero(t, s.Refused, "there was not room for all")
	require.NotZero(t, s.Announced[KindResolved])
}

// BenchmarkMemory reports what each of 10,000 instances takes that were looked up in
// a set (B/instance), and what an episode and a quota take.
func BenchmarkMemory(b *testing.B) {
	sizes(b, func(b *testing.B, n int) {
		set := compile(b, parse(b, document(n))...)
		all := subjects()
		before := heapInUse()
		for b.Loop() {
			for i := range all {
				set.Match(&all[i])
			}
		}
		b.ReportMetric(float64(heapInUse()-before)/benchInstances, "B/instance")
		runtime.KeepAlive(set)
		runtime.KeepAlive(all)
	})
	const at = int64(1_782_864_000_000_000_000)
	for _, window := range []string{"", "month"} {
		name, document := "B/episode", `[{id: a, resource: cpu, type: percentage, warning: 80}]`
		if window != "" {
			name, document = "B/quota", `[{id: a, resource: network_egress, type: absolute, unit: GBy, warning: 1, window: month}]`
		}
		b.Run(name[2:], func(b *testing.B) {
			rule, all := parse(b, document)[0], subjects()
			var used int64
			for b.Loop() {
				before := heapInUse()
				e := New(Config{})
				tx := e.Begin()
				for i := range all {
					if window == "" {
						tx.Observe(rule, &all[i], "", 99, 0, at)
					} else {
						tx.AddUsage(rule, &all[i], "", Usage{Stream: [16]byte{byte(i), byte(i >> 8), 1}, First: 1, Sequence: 1, Start: at, End: at + 1, Amount: 1})
					}
				}
				tx.Commit()
				e.free = nil // the memory of the transaction
				tx = nil
				used = heapInUse() - before
				runtime.KeepAlive(e)
			}
			b.ReportMetric(float64(used)/benchInstances, name)
			runtime.KeepAlive(all)
		})
	}
}
