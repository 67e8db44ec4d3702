// Package window keeps the last samples of each instance: those of the open
// period and of some closed ones, within a bound of bytes. It answers what was
// used of late, without a backend.
package window

import (
	"time"
	"unsafe"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// Settings of a [Window].
type Settings struct {
	Interval time.Duration // between two samples
	Period   time.Duration
	Periods  int   // closed ones that are kept beside the open one
	MaxBytes int64 // of all samples together
}

// A Window keeps samples. It is not safe for concurrent use.
type Window struct {
	settings Settings
	rings    map[string]*ring
	held     int64 // samples for which there is room
}

// A sample is what held for dt ns up to at.
type sample struct {
	at  int64 // unix ns
	dt  int64
	ppm [usage.NumUtilizations]int32 // negative: not seen
}

const sampleBytes = int64(unsafe.Sizeof(sample{}))

// A ring holds the samples of one instance, oldest first from start on.
type ring struct {
	samples    []sample
	start, len int
}

// New returns an empty window.
func New(s Settings) *Window { return &Window{settings: s, rings: map[string]*ring{}} }

// Add adds a sample of an instance: utilizations in millionths, negative where
// one was not seen, that held for dt ns up to at. It forgets what has left the
// window, and the oldest sample of the instance where there is no room.
func (w *Window) Add(id string, at reading.Instant, dt int64, ppm [usage.NumUtilizations]int64) {
	r := w.rings[id]
	if r == nil {
		r = &ring{}
		w.rings[id] = r
	}
	r.prune(w.oldest(at.Wall))
	if r.len == len(r.samples) {
		w.grow(r)
	}
	if len(r.samples) == 0 {
		return // not even one sample has room
	}
	if r.len == len(r.samples) {
		r.start, r.len = (r.start+1)%len(r.samples), r.len-1
	}
	s := &r.samples[(r.start+r.len)%len(r.samples)]
	r.len++
	s.at, s.dt = at.Wall, dt
	for u, v := range ppm {
		s.ppm[u] = int32(v) //nolint:gosec // at most a million
	}
}

// oldest is where the window begins: Periods whole periods before the open one.
func (w *Window) oldest(now int64) int64 {
	period := w.settings.Period.Nanoseconds()
	return (now/period - int64(w.settings.Periods)) * period
}

// grow doubles a ring, as far as the window needs and its bound allows.
func (w *Window) grow(r *ring) {
	most := int(w.settings.Period/w.settings.Interval)*(w.settings.Periods+1) + 1
	size := min(max(2*len(r.samples), 4), most)
	room := w.settings.MaxBytes/sampleBytes - w.held
	size = min(size, len(r.samples)+int(max(room, 0)))
	if size <= len(r.samples) {
		return
	}
	next := make([]sample, size)
	for i := range r.len {
		next[i] = r.samples[(r.start+i)%len(r.samples)]
	}
	w.held += int64(size - len(r.samples))
	r.samples, r.start = next, 0
}

func (r *ring) prune(oldest int64) {
	for r.len > 0 && r.samples[r.start].at <= oldest {
		r.start, r.len = (r.start+1)%len(r.samples), r.len-1
	}
}

// Prune forgets what has left the window by now, and instances of which nothing
// is left in it.
func (w *Window) Prune(now int64) {
	oldest := w.oldest(now)
	for id, r := range w.rings {
		if r.prune(oldest); r.len == 0 {
			w.held -= int64(len(r.samples))
			delete(w.rings, id)
		}
	}
}

// Statistics are the time-weighted averages and the maxima of an instance over
// the window, of what was really sampled.
func (w *Window) Statistics(id string) (stats [usage.NumUtilizations]usage.Statistic) {
	r := w.rings[id]
	if r == nil {
		return stats
	}
	var weight, sum [usage.NumUtilizations]int64
	for i := range r.len {
		s := &r.samples[(r.start+i)%len(r.samples)]
		for u, v := range s.ppm {
			if v < 0 {
				continue
			}
			weight[u] += s.dt / 1000
			sum[u] += int64(v) * (s.dt / 1000)
			stats[u].Max = max(stats[u].Max, int64(v))
		}
	}
	for u := range stats {
		if weight[u] > 0 {
			stats[u].Avg, stats[u].Valid = sum[u]/weight[u], true
		}
	}
	return stats
}

// Size is what the window holds now.
func (w *Window) Size() (samples int, bytes int64) {
	for _, r := range w.rings {
		samples += r.len
	}
	return samples, w.held * sampleBytes
}
