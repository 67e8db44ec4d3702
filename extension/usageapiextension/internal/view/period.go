package view

import (
	"github.com/google/uuid"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

func (w *writer) period(d *store.Data, closed bool) {
	w.open("period", '{')
	if open, ok := d.Open(); ok {
		w.open("open", '{')
		w.time("start", open.Start)
		w.time("at", open.End)
		w.amounts("usage", open.Metered, &open.Usage, nil)
		w.end('}')
	} else {
		w.null("open")
	}
	if d.Closed != nil && closed {
		w.closed(d.Closed)
	} else {
		w.null("closed")
	}
	w.end('}')
}

func (w *writer) closed(c *store.Closed) {
	w.open("closed", '{')
	w.time("start", c.Start)
	w.time("end", c.End)
	w.integer("duration_ns", c.Duration, true)
	var id [36]byte
	w.text("stream", string(encodeUUID(id[:], c.StreamID)))
	w.integer("sequence", int64(c.Sequence), true) //nolint:gosec // read from a signed one
	w.integer("joined", int64(max(c.Joined, 1)), true)
	worst := usage.Measured
	for m := range c.Metered.All() {
		worst = max(worst, c.Quality[m])
	}
	w.text("quality", worst.String())
	w.number("coverage", float64(c.Coverage)/usage.FullCoverage, true)
	w.boolean("clock_stepped", c.ClockStepped)
	w.open("flavor", '{')
	w.integer("vcpus", c.Flavor.VCPUs, true)
	w.integer("memory_bytes", c.Flavor.MemoryBytes, true)
	w.integer("storage_bytes", c.Flavor.StorageBytes, true)
	w.integer("gpus", c.Flavor.GPUs, true)
	w.end('}')
	w.amounts("usage", c.Metered, &c.Usage, &c.Quality)
	w.amounts("totals", c.Metered, &c.Totals, nil)
	w.open("statistics", '{')
	for u, k := range [...]string{"cpu_utilization", "memory_utilization", "storage_utilization", "gpu_utilization"} {
		s := &c.Stats[u]
		if !s.Valid {
			continue
		}
		w.open(k, '{')
		w.number("average", float64(s.Avg)/1e6, true)
		w.number("maximum", float64(s.Max)/1e6, true)
		w.end('}')
	}
	w.end('}')
	w.end('}')
}

// amounts writes the meters that there are, under the names that events have. What
// there is a gap of is null.
func (w *writer) amounts(k string, metered usage.MeterSet, amounts *usage.Amounts, quality *[usage.NumMeters]usage.Quality) {
	w.open(k, '{')
	for m := range metered.All() {
		w.integer(m.Info().Field, amounts[m], quality == nil || quality[m] != usage.Gap)
	}
	w.end('}')
}

func (w *writer) thresholds(d *store.Data) {
	w.open("thresholds", '{')
	w.text("level", levelName(d.Level()))
	w.open("rules", '[')
	for i := range d.States {
		s := &d.States[i]
		w.open("", '{')
		w.text("rule", s.Rule)
		w.orNull("series", s.Series)
		w.text("level", levelName(s.Level))
		w.time("at", s.At)
		if s.Announced {
			w.time("since", s.Since)
		} else {
			w.null("since")
		}
		w.number("value", s.Value, s.Announced)
		w.number("threshold", s.Threshold, s.Announced)
		w.end('}')
	}
	w.end(']')
	w.end('}')
}

func levelName(l usage.ThresholdLevel) string {
	if l == usage.LevelOK {
		return "ok"
	}
	return l.String()
}

func encodeUUID(b []byte, id [16]byte) []byte {
	text, err := uuid.UUID(id).MarshalText()
	if err != nil { // it returns none
		return b[:0]
	}
	return append(b[:0], text...)
}
