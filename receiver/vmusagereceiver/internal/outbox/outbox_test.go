package outbox_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/outbox"
)

var now = time.Unix(1_700_000_000, 0)

func period(instance string, end int64) usage.Period {
	p := usage.Period{Instance: usage.Instance{ID: instance}, Sequence: 1, Start: end - 30, End: end, Duration: 30}
	for m := range usage.NumMeters {
		p.Metered.Add(m)
	}
	for i := range 4 {
		p.Devices = append(p.Devices, usage.DeviceUsage{Class: usage.Disk, ID: fmt.Sprintf("vd%c", 'a'+i)})
	}
	return p
}

// memory is an outbox in memory that flushes whatever is put.
type memory struct{ *outbox.Outbox }

func newOutbox(maxBytes int64) memory {
	return memory{outbox.New(outbox.Settings{MaxBytes: maxBytes, Clock: func() time.Time { return now }})}
}

func (m memory) Put(periods []usage.Period) {
	m.Outbox.Put(periods, nil)
	if err := m.Flush(context.Background()); err != nil {
		panic(err)
	}
}

func periodsOf(t *testing.T, o memory, c *outbox.Chunk) []usage.Period {
	t.Helper()
	ps, err := o.Load(t.Context(), c)
	require.NoError(t, err)
	return ps
}

func TestOldestFirstAndConfirmedOneByOne(t *testing.T) {
	o := newOutbox(1 << 30)
	o.Put([]usage.Period{period("a", 30)})
	o.Put([]usage.Period{period("a", 60)})
	assert.Equal(t, 2, o.State().Periods)
	assert.Equal(t, int64(30), o.State().Oldest)

	first, _ := o.Next(now)
	require.NotNil(t, first)
	assert.Equal(t, int64(30), periodsOf(t, o, first)[0].End)
	o.Refuse(first, now.Add(time.Second))
	assert.Equal(t, 1, first.Refused())

	second, _ := o.Next(now)
	require.NotNil(t, second, "a stuck chunk does not stop the others")
	assert.Equal(t, int64(60), periodsOf(t, o, second)[0].End)
	o.Confirm(second)

	again, _ := o.Next(now)
	require.Same(t, first, again, "others are taken: it may have been refused with them for a reason that is gone")
	o.Refuse(first, now.Add(time.Second))
	o.Put([]usage.Period{period("a", 90)})
	third, _ := o.Next(now)
	assert.Equal(t, int64(90), periodsOf(t, o, third)[0].End)
	o.Confirm(third)
	none, wait := o.Next(now)
	assert.Nil(t, none, "it is stuck by itself and waits for its own time")
	assert.Equal(t, time.Second, wait)
	again, _ = o.Next(now.Add(time.Second))
	assert.Same(t, first, again)
	o.Confirm(again)
	o.Confirm(again)
	assert.Zero(t, o.State().Periods)
	none, wait = o.Next(now)
	assert.Nil(t, none)
	assert.Zero(t, wait)
}

func TestChunksStayBelowTheirBound(t *testing.T) {
	o := newOutbox(1 << 30)
	var ps []usage.Period
	for i := range 1000 {
		ps = append(ps, period(fmt.Sprint(i), 30))
	}
	o.Put(ps)
	seen := 0
	for c, _ := o.Next(now); c != nil; c, _ = o.Next(now) {
		md := pmetric.NewMetrics()
		ps := periodsOf(t, o, c)
		for i := range ps {
			usage.AppendPeriod(md.ResourceMetrics(), &ps[i])
		}
		assert.LessOrEqual(t, (&pmetric.ProtoMarshaler{}).MetricsSize(md), outbox.MaxChunk)
		seen += c.Periods()
		o.Confirm(c)
	}
	assert.Equal(t, 1000, seen)
}

func TestAFullOutboxGivesUpTheOldest(t *testing.T) {
	o := newOutbox(10_000)
	o.Put([]usage.Period{period("a", 30)})
	o.Put([]usage.Period{period("a", 60)})
	assert.Zero(t, o.State().Dropped)
	o.Put([]usage.Period{period("a", 90)})
	assert.EqualValues(t, 1, o.State().Dropped)
	assert.Equal(t, int64(60), o.State().Oldest)
	assert.LessOrEqual(t, o.State().Bytes, int64(10_000))
}

func TestWake(t *testing.T) {
	o := newOutbox(1 << 30)
	o.Put([]usage.Period{period("a", 30)})
	o.Put([]usage.Period{period("a", 60)})
	<-o.Wake()
	select {
	case <-o.Wake():
		t.Fatal("woken twice for one look at the outbox")
	default:
	}
}
