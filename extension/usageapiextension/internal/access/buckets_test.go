package access

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestBuckets(t *testing.T) {
	b := newBuckets[string](Rate{Burst: 3, Every: time.Second}, 10)
	now := time.Unix(1000, 0)
	take := func(key string) string {
		wait, ok := b.take(key, now)
		return fmt.Sprint(ok, " ", wait)
	}
	for range 3 {
		assert.Equal(t, "true 0s", take("a"))
	}
	assert.Equal(t, "false 1s", take("a"))
	assert.Equal(t, "true 0s", take("b"), "keys are apart")
	now = now.Add(999 * time.Millisecond)
	assert.Equal(t, "false 1ms", take("a"))
	now = now.Add(time.Millisecond)
	_, ok := b.peek("a", now)
	assert.True(t, ok)
	assert.Equal(t, "true 0s", take("a"), "one more each second; peek takes none")
	assert.Equal(t, "false 1s", take("a"), "what is refused costs nothing")
	wait, ok := b.peek("a", now)
	assert.False(t, ok)
	assert.Equal(t, time.Second, wait)
	now = now.Add(time.Hour)
	for range 3 {
		assert.Equal(t, "true 0s", take("a"), "not more than the burst is saved up")
	}
	assert.Equal(t, "false 1s", take("a"))
	now = now.Add(-time.Hour)
	assert.Equal(t, "true 0s", take("c"), "a clock that is set back locks nobody else out")

	none := newBuckets[string](Rate{Burst: -1}, 10)
	for range 100 {
		_, ok := none.take("a", now)
		assert.True(t, ok)
	}
	assert.Empty(t, none.full)
}

// However many ask, memory is bounded, and who was refused stays refused while
// others come and go.
func TestBucketsAreBounded(t *testing.T) {
	const most = 64
	b := newBuckets[int](Rate{Burst: 2, Every: time.Second}, most)
	now := time.Unix(1000, 0)
	for i := range 10_000 {
		_, ok := b.take(i, now)
		assert.True(t, ok)
		assert.LessOrEqual(t, len(b.full), most)
	}
	now = now.Add(time.Hour)
	b.take(-1, now)
	assert.Len(t, b.full, 1, "those that are full again are forgotten")

	greedy := newBuckets[int](Rate{Burst: 10, Every: time.Second}, 16) // as many as are looked at
	for range 10 {
		greedy.take(0, now)
	}
	for i := range 1000 {
		greedy.take(i+1, now)
	}
	_, ok := greedy.take(0, now)
	assert.False(t, ok, "what makes room is what is nearest to full")
}

func BenchmarkTake(b *testing.B) {
	b.ReportAllocs()
	buckets := newBuckets[string](Rate{Burst: 1 << 30, Every: time.Nanosecond}, remembered)
	for b.Loop() {
		buckets.take("portal", time.Now())
	}
}

// BenchmarkTakeOfMany is the worst case: all that come are new, and there is no room.
func BenchmarkTakeOfMany(b *testing.B) {
	b.ReportAllocs()
	buckets := newBuckets[int](Rate{Burst: 10, Every: time.Hour}, remembered)
	i := 0
	for b.Loop() {
		buckets.take(i, time.Now())
		i++
	}
}
