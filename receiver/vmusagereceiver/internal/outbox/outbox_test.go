package outbox_test

import (
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

func TestOldestFirstAndConfirmedOneByOne(t *testing.T) {
	o := outbox.New(1 << 30)
	o.Put([]usage.Period{period("a", 30)})
	o.Put([]usage.Period{period("a", 60)})
	assert.Equal(t, 2, o.State().Periods)
	assert.Equal(t, int64(30), o.State().Oldest)

	first, _ := o.Next(now)
	require.NotNil(t, first)
	assert.Equal(t, int64(30), first.Periods[0].End)
	o.Refuse(first, now.Add(time.Second))
	assert.Equal(t, 1, first.Refused())

	second, _ := o.Next(now)
	require.NotNil(t, second, "a stuck chunk does not stop the others")
	assert.Equal(t, int64(60), second.Periods[0].End)
	o.Confirm(second)

	again, _ := o.Next(now)
	require.Same(t, first, again, "others are taken: it may have been refused with them for a reason that is gone")
	o.Refuse(first, now.Add(time.Second))
	o.Put([]usage.Period{period("a", 90)})
	third, _ := o.Next(now)
	assert.Equal(t, int64(90), third.Periods[0].End)
	o.Confirm(third)
	none, wait := o.Next(now)
	assert.Nil(t, none, "it is stuck by itself and waits for its own time")
	assert.Equal(t, time.Second, wait)
	again, _ = o.Next(now.Add(time.Second))
	assert.Same(t, first, again)
	o.Confirm(again)
	o.Confirm(again)
	assert.Equal(t, outbox.State{}, o.State())
	none, wait = o.Next(now)
	assert.Nil(t, none)
	assert.Zero(t, wait)
}

func TestChunksStayBelowTheirBound(t *testing.T) {
	o := outbox.New(1 << 30)
	var ps []usage.Period
	for i := range 1000 {
		ps = append(ps, period(fmt.Sprint(i), 30))
	}
	o.Put(ps)
	seen := 0
	for c, _ := o.Next(now); c != nil; c, _ = o.Next(now) {
		md := pmetric.NewMetrics()
		for i := range c.Periods {
			usage.AppendPeriod(md.ResourceMetrics(), &c.Periods[i])
		}
		assert.LessOrEqual(t, (&pmetric.ProtoMarshaler{}).MetricsSize(md), outbox.MaxChunk)
		seen += len(c.Periods)
		o.Confirm(c)
	}
	assert.Equal(t, 1000, seen)
}

func TestAFullOutboxGivesUpTheOldest(t *testing.T) {
	o := outbox.New(10_000)
	assert.Zero(t, o.Put([]usage.Period{period("a", 30)}))
	assert.Zero(t, o.Put([]usage.Period{period("a", 60)}))
	assert.Equal(t, 1, o.Put([]usage.Period{period("a", 90)}))
	assert.Equal(t, int64(60), o.State().Oldest)
	assert.LessOrEqual(t, o.State().Bytes, int64(10_000))
}

func TestWake(t *testing.T) {
	o := outbox.New(1 << 30)
	o.Put([]usage.Period{period("a", 30)})
	o.Put([]usage.Period{period("a", 60)})
	<-o.Wake()
	select {
	case <-o.Wake():
		t.Fatal("woken twice for one look at the outbox")
	default:
	}
}
