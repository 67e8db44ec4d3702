package window

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

func newWindow(maxBytes int64) *Window {
	return New(Settings{Interval: 10 * time.Second, Period: 30 * time.Second, Periods: 1, MaxBytes: maxBytes})
}

func (w *Window) at(id string, second int64, cpu int64) {
	w.Add(id, reading.Instant{Wall: second * 1e9}, 10e9, [usage.NumUtilizations]int64{cpu, -1, -1, -1})
}

func TestWindowSlides(t *testing.T) {
	w := newWindow(1 << 20)
	for s := int64(10); s <= 60; s += 10 {
		w.at("a", s, s*1000)
	}
	// 60 is the first of the open period; of those before, the closed one has 40 to 60.
	st := w.Statistics("a")
	assert.Equal(t, usage.Statistic{Avg: 50_000, Max: 60_000, Valid: true}, st[usage.CPUUtilization])
	assert.False(t, st[usage.MemoryUtilization].Valid, "never seen")
	w.Prune(300e9)
	n, bytes := w.Size()
	assert.Zero(t, n)
	assert.Zero(t, bytes, "what is gone takes no memory")
	assert.False(t, w.Statistics("a")[usage.CPUUtilization].Valid)
}

func TestAveragesAreWeighted(t *testing.T) {
	w := newWindow(1 << 20)
	w.Add("a", reading.Instant{Wall: 40e9}, 30e9, [usage.NumUtilizations]int64{100, 0, 0, 0})
	w.Add("a", reading.Instant{Wall: 50e9}, 10e9, [usage.NumUtilizations]int64{500, 0, 0, 0})
	assert.EqualValues(t, 200, w.Statistics("a")[usage.CPUUtilization].Avg)
}

func TestWindowIsBounded(t *testing.T) {
	w := newWindow(100 * sampleBytes)
	for s := int64(10); s <= 600; s += 10 {
		for i := range 50 {
			w.at(fmt.Sprint(i), s, 1000)
		}
	}
	_, bytes := w.Size()
	assert.LessOrEqual(t, bytes, 100*sampleBytes)
	assert.True(t, w.Statistics("0")[usage.CPUUtilization].Valid)
}

func BenchmarkAdd(b *testing.B) {
	w := newWindow(1 << 20)
	s := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		s += 10
		w.at("a", s, 1)
	}
}
