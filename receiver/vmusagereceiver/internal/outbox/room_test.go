package outbox_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/outbox"
)

type lockedValues struct {
	mu    sync.Mutex
	v     map[string][]byte
	onGet func(string)
}

func (s *lockedValues) Get(_ context.Context, k string) ([]byte, error) {
	if s.onGet != nil {
		s.onGet(k)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.v[k], nil
}

func (s *lockedValues) Batch(_ context.Context, ops ...*storage.Operation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, op := range ops {
		switch op.Type {
		case storage.Set:
			s.v[op.Key] = append([]byte(nil), op.Value...)
		case storage.Delete:
			delete(s.v, op.Key)
		}
	}
	return nil
}

func periodOf(seq uint64, storageBytes int64) usage.Period {
	const e = int64(1_699_999_200) // an hour
	p := usage.Period{Instance: usage.Instance{ID: "a"}, Stream: usage.Stream{ID: uuid.UUID{1}}, Sequence: seq}
	p.Start = (e + int64(seq-1)*30) * 1e9
	p.End = p.Start + 30e9
	p.Duration = 30e9
	p.Flavor.StorageBytes = storageBytes
	p.Metered.Add(usage.CPUTime)
	p.Usage[usage.CPUTime] = 1
	p.Totals[usage.CPUTime] = int64(seq)
	return p
}

func openBox(t *testing.T, maxBytes int64, s *lockedValues) *outbox.Outbox {
	t.Helper()
	o, _, err := outbox.Open(context.Background(), outbox.Settings{MaxBytes: maxBytes, Clock: func() time.Time { return now }}, s, s)
	require.NoError(t, err)
	return o
}

// refused puts three chunks that are refused, and n parked ones.
func refused(t *testing.T, o *outbox.Outbox, n int, size func(i int) int64) uint64 {
	seq := uint64(0)
	for range 3 {
		seq++
		o.Put([]usage.Period{periodOf(seq, 0)}, nil)
		require.NoError(t, o.Flush(t.Context()))
		c, _ := o.Next(now)
		require.NotNil(t, c)
		o.Refuse(c, now.Add(time.Second))
	}
	for i := range n {
		seq++
		o.Put([]usage.Period{periodOf(seq, size(i))}, nil)
		require.NoError(t, o.Flush(t.Context()))
	}
	return seq
}

func TestJoiningWhileOneIsUnparked(t *testing.T) {
	s := &lockedValues{v: map[string][]byte{}}
	o := openBox(t, 1<<30, s)
	refused(t, o, 40, func(int) int64 { return 0 })
	require.NoError(t, o.Flush(t.Context()))
	size := o.State().Bytes
	// the process starts again with less room: nothing is held in memory
	o = openBox(t, size*3/4, s)
	// 3 that were refused stay refused
	for range 3 {
		c, _ := o.Next(now)
		o.Refuse(c, now.Add(time.Second))
	}
	once := false
	s.onGet = func(k string) {
		if !once {
			once = true
			// what the delivery's goroutine does ten minutes later
			c, _ := o.Next(now.Add(time.Hour))
			require.NotNil(t, c)
			o.Refuse(c, now.Add(2*time.Hour))
			c, _ = o.Next(now.Add(time.Hour))
			o.Refuse(c, now.Add(2*time.Hour))
			c, _ = o.Next(now.Add(time.Hour))
			o.Refuse(c, now.Add(2*time.Hour))
			c, _ = o.Next(now.Add(time.Hour)) // unparks the oldest parked one
			require.Nil(t, c)
		}
	}
	require.NoError(t, o.Flush(t.Context()))
	st := o.State()
	assert.True(t, once)
	assert.Zero(t, st.Dropped, "40 periods of one hour and one stream could be joined: joined %d", st.Joined)
}

func TestFileSystemsThatGrowAreJoined(t *testing.T) {
	s := &lockedValues{v: map[string][]byte{}}
	o := openBox(t, 6_000, s)
	refused(t, o, 100, func(i int) int64 { return int64(i) })
	st := o.State()
	assert.Zero(t, st.Dropped, "joined %d", st.Joined)
}

func TestNoMarkBeforeThereIsState(t *testing.T) {
	s, m := &lockedValues{v: map[string][]byte{}}, &lockedValues{v: map[string][]byte{}}
	o, _, err := outbox.Open(t.Context(), outbox.Settings{MaxBytes: 1 << 30, Clock: time.Now}, s, m)
	require.NoError(t, err)
	require.NoError(t, o.Flush(t.Context()))
	marked, err := o.Mark(t.Context(), m, now)
	require.NoError(t, err)
	assert.False(t, marked)
	_, f, err := outbox.Open(t.Context(), outbox.Settings{MaxBytes: 1 << 30, Clock: time.Now}, s, m)
	require.NoError(t, err)
	assert.False(t, f.Lost)
}

func TestWhatIsOfferedIsNotGivenUp(t *testing.T) {
	s := &lockedValues{v: map[string][]byte{}}
	o := openBox(t, 1<<30, s)
	for i := range 20 {
		o.Put([]usage.Period{periodOf(uint64(i+1), 0)}, nil)
		require.NoError(t, o.Flush(t.Context()))
	}
	o = openBox(t, 2000, s)
	c, _ := o.Next(now)
	o.Put([]usage.Period{periodOf(21, 0)}, nil)
	require.NoError(t, o.Flush(t.Context()))
	_, err := o.Load(t.Context(), c)
	assert.NoError(t, err)
}

func TestUnparkingWhileFlushing(t *testing.T) {
	for range 30 {
		s := &lockedValues{v: map[string][]byte{}}
		o := openBox(t, 1<<30, s)
		seq := refused(t, o, 50, func(int) int64 { return 0 })
		c, _ := o.Next(now.Add(time.Hour))
		o.Put([]usage.Period{periodOf(seq+1, 0)}, nil)
		var wg sync.WaitGroup
		wg.Go(func() { _ = o.Flush(context.Background()) })
		wg.Go(func() { o.Confirm(c) })
		wg.Wait()
	}
}
