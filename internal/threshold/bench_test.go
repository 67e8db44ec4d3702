package threshold

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const benchInstances = 10_000

// document returns n rules as a hosting company may have them: a tenth is for
// everyone of an organization or by label, a pattern here and there, and the
// others are for one instance or one user each.
func document(n int) string {
	var b strings.Builder
	b.WriteString("[\n")
	for i := range n {
		selector := fmt.Sprintf(`{"instance_id": "vm-%d"}`, i%(4*benchInstances))
		switch {
		case i < 10:
			selector = `{"user_id": "*"}`
		case i < 20:
			selector = fmt.Sprintf(`{"instance_id": "other-*-%d"}`, i)
		case i%10 == 0:
			selector = fmt.Sprintf(`{"org_id": "org-%d", "labels": {"env": "prod"}}`, i/10)
		case i%2 == 0:
			selector = fmt.Sprintf(`{"user_id": "user-%d"}`, i%(4*benchInstances))
		}
		what := []string{
			`"resource": "cpu", "type": "percentage", "warning": 80, "critical": 95, "clear": 70, "for": "1m"`,
			`"resource": "memory", "type": "absolute", "unit": "GiBy", "warning": 80`,
			`"resource": "network_egress", "type": "percentage", "limit": 1, "unit": "TBy", "window": "month", "timezone": "Europe/Berlin", "warning": 80`,
		}[i%3]
		if i > 0 {
			b.WriteString(",\n")
		}
		fmt.Fprintf(&b, `{"id": "rule-%d", %s, "action": "notify", "selector": %s}`, i, what, selector)
	}
	b.WriteString("\n]\n")
	return b.String()
}

func subjects() []Subject {
	s := make([]Subject, benchInstances)
	for i := range s {
		s[i] = Subject{
			InstanceID: fmt.Sprintf("vm-%d", i), UserID: fmt.Sprintf("user-%d", i), OrgID: fmt.Sprintf("org-%d", i%1000),
			Labels: []Label{{"env", "prod"}, {"zone", "a"}},
		}
	}
	return s
}

func sizes(b *testing.B, do func(b *testing.B, n int)) {
	for _, n := range []int{100, 1000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) { do(b, n) })
	}
}

func BenchmarkParse(b *testing.B) {
	sizes(b, func(b *testing.B, n int) {
		data := []byte(document(n))
		yaml := append([]byte("# no JSON\n"), data...)
		for name, data := range map[string][]byte{"json": data, "yaml": yaml} {
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(data)))
				for b.Loop() {
					if _, err := Parse(data, Options{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	})
}

// BenchmarkCompile also reports what rules and set take of memory.
func BenchmarkCompile(b *testing.B) {
	sizes(b, func(b *testing.B, n int) {
		before := heapInUse()
		rules := parse(b, document(n))
		parsed := heapInUse()
		set := compile(b, rules...)
		compiled := heapInUse()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Compile(rules); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(parsed-before)/float64(n), "B/rule")
		b.ReportMetric(float64(compiled-parsed)/float64(n), "B/rule-index")
		runtime.KeepAlive(set)
	})
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkMatch is a look-up of each of 10,000 instances in turn, and the check
// of one point of each of 12 metrics, as levels have them; an op is a point.
func BenchmarkMatch(b *testing.B) {
	sizes(b, func(b *testing.B, n int) {
		set := compile(b, parse(b, document(n))...)
		subjects := subjects()
		metrics := []string{
			"vm.cpu.time", "vm.cpu.utilization", "vm.disk.io", "vm.disk.operations", "vm.filesystem.usage", "vm.memory.limit", "vm.memory.usage",
			"vm.memory.utilization", "vm.network.io", "vm.storage.usage", "vm.uptime", "vm.usage.network.io",
		}
		var attributes Attributes = attributes{"network.io.direction": "transmit"}
		var sums Sums
		run := func(s *Subject) (fired int) {
			m := set.Match(s)
			sums.Reset(m)
			for _, metric := range metrics {
				checks := m.Checks(metric)
				for i := range checks {
					if checks[i].Accepts(attributes) {
						sums.Add(&checks[i], 0.5)
					}
				}
			}
			for r, a := range sums.All() {
				if value, _, ok := r.Value(a.Amount, a.Other, 30); ok && r.LevelOf(value) != OK {
					fired++
				}
			}
			return fired
		}
		matched := 0
		for i := range subjects {
			matched += len(set.Match(&subjects[i]).Rules())
			require.Zero(b, run(&subjects[i]))
		}
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			if run(&subjects[i%benchInstances]) != 0 {
				b.Fatal("fired")
			}
			i++
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(metrics)), "ns/point")
		b.ReportMetric(float64(matched)/benchInstances, "rules/instance")
	})
}

// BenchmarkMatchNew is the look-up of an instance that was not seen before.
func BenchmarkMatchNew(b *testing.B) {
	sizes(b, func(b *testing.B, n int) {
		set := compile(b, parse(b, document(n))...)
		subjects := subjects()
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			if i%benchInstances == 0 {
				set.cache = newMatchCache(set.cache.keys, cachedSubjects)
			}
			set.Match(&subjects[i%benchInstances])
			i++
		}
	})
}
