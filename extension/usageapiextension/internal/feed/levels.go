package feed

import (
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// levels offers the levels of an instance that the store has, where none of the same interval
// were told. That is a matter of their time alone: what else is in rm does not matter.
func (r *reader) levels(rm pmetric.ResourceMetrics) {
	v, ok := rm.Resource().Attributes().Get(usage.AttrVMID)
	if !ok {
		return
	}
	f := r.feed
	if r.entry = f.settings.Store.Get(v.AsString()); r.entry == nil {
		return
	}
	// Asked before the batch is open: to open one waits for others, who may read this entry.
	at := int64(0)
	r.entry.Read(func(d *store.Data) { at = d.Levels.At })
	if at == 0 || !f.due(r.entry.ID(), f.interval(at)) {
		return
	}
	r.open()
	r.entry.Read(r.visitLevels)
}

// offerLevels offers what is in d. All of it is read at once, so that nobody hears of levels
// that came when the instance was somebody else's.
func (r *reader) offerLevels(d *store.Data) {
	r.data = d
	defer func() { r.data = nil }()
	f, id := r.feed, r.entry.ID()
	interval := f.interval(d.Levels.At)
	if !f.due(id, interval) {
		return // somebody else told them meanwhile
	}
	e := r.about(webhook.Metrics, f.levelsID(id, d.Levels.At), d.Levels.At, &d.Instance)
	e.InstanceID, e.Volatile = id, true
	if r.batch.Offer(e, webhook.Mark{}, r.levelsBody) == webhook.Accepted {
		f.tell(id, interval)
	}
}

// interval is the number of the interval that levels of a time are of.
func (f *Feed) interval(at int64) int64 {
	if f.settings.MetricsInterval <= 0 {
		return at
	}
	return at / int64(f.settings.MetricsInterval)
}

func (f *Feed) due(id string, interval int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	last, ok := f.told[id]
	return !ok || last != interval
}

// tell notes of which interval levels were told. Only those that hooks take are noted, and an
// instance that went long ago is forgotten when there are many.
func (f *Feed) tell(id string, interval int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.told[id]; !ok && len(f.told) >= f.settings.MaxInstances {
		for other, last := range f.told {
			if interval-last > 1 {
				delete(f.told, other)
			}
		}
		if len(f.told) >= f.settings.MaxInstances {
			clear(f.told) // told once more in this interval, at worst
		}
	}
	f.told[id] = interval
}
