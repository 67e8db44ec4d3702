package webhook

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/outbound"
	"github.com/vmusage/otelcol-vmusage/internal/signing"
)

const benchWorkers = 8

func guarded(timeout time.Duration) *outbound.Client {
	return outbound.New(outbound.Settings{
		AllowHTTP: true, AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Timeout: timeout, PerHost: benchWorkers, Excerpt: 512,
	})
}

// BenchmarkDeliver delivers events to an endpoint on this machine: a bare loop of http.Client with the
// same headers and signatures, and the engine, from the offer to the answer, with as many
// requests under way.
func BenchmarkDeliver(b *testing.B) {
	var got atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		got.Add(1)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	payload := bytes.Repeat([]byte("x"), 2000)
	b.Run("bare", func(b *testing.B) {
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: benchWorkers}}
		defer client.CloseIdleConnections()
		keys := []signing.Secret{fixedSecret()}
		jobs := make(chan struct{}, benchWorkers)
		var running sync.WaitGroup
		for range benchWorkers {
			running.Go(func() {
				for range jobs {
					id, at := uuid.NewString(), time.Now()
					req, _ := http.NewRequest(http.MethodPost, server.URL, bytes.NewReader(payload))
					req.Header.Set("Content-Type", "application/json")
					req.Header.Set("User-Agent", "bare")
					req.Header.Set(signing.HeaderID, id)
					req.Header.Set(signing.HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
					req.Header.Set(signing.HeaderSignature, string(signing.Sign(nil, keys, id, at, payload)))
					req.Header.Set(signing.HeaderLegacyEvent, "resource_usage")
					req.Header.Set(signing.HeaderLegacy, signing.Legacy(keys[0], payload))
					resp, err := client.Do(req)
					if err != nil {
						b.Error(err)
						continue
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			})
		}
		b.ReportAllocs()
		for b.Loop() {
			jobs <- struct{}{}
		}
		close(jobs)
		running.Wait()
	})
	for _, kept := range []bool{false, true} {
		b.Run(fmt.Sprintf("engine/storage=%v", kept), func(b *testing.B) {
			client := guarded(10 * time.Second)
			defer client.Close()
			s := settings(newWorld(), nil)
			if kept {
				s.Storage = newDisk()
			}
			s.Limits.Workers, s.Limits.Concurrency = benchWorkers, benchWorkers
			s.Limits.PerHook, s.Limits.Pending = 1<<30, 1<<30
			s.Limits.Memory = 1 << 30
			s.Observe = nobody{}
			s.Send = client.Send
			e, err := Open(b.Context(), s)
			require.NoError(b, err)
			e.Start()
			h := hookOf(server.URL)
			h.Owner = root
			_, err = e.Create(b.Context(), h)
			require.NoError(b, err)
			m := Mark{Key: [16]byte{1}}
			const batch = 100
			got.Store(0)
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				if n%batch == 0 {
					for int64(n)-got.Load() > batch { // as much under way as is offered at once
						time.Sleep(20 * time.Microsecond)
					}
					all := e.Begin()
					for range batch {
						m.Sequence++
						ev := Event{ID: uuid.UUID{1, 15: 1}, Type: ResourceUsage, At: time.Now().Add(time.Hour).UnixNano(), InstanceID: "vm", UserID: "alex"}
						all.Offer(&ev, m, func(dst []byte) []byte { return append(dst, payload...) })
					}
					all.Commit(b.Context())
				}
				n++
			}
			for got.Load() < int64(n) {
				time.Sleep(20 * time.Microsecond)
			}
			b.StopTimer()
			require.NoError(b, e.Shutdown(b.Context()))
		})
	}
}

// BenchmarkOneDeadOfAHundred measures how long healthy endpoints wait for an event, with all hundred
// healthy, and with one, or half of them, that never answer.
func BenchmarkOneDeadOfAHundred(b *testing.B) {
	for _, dead := range []int{0, 1, 50} {
		b.Run(fmt.Sprintf("dead=%d", dead), func(b *testing.B) {
			var mu sync.Mutex
			offered, latencies := map[string]time.Time{}, []time.Duration{}
			var came atomic.Int64
			healthy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				now := time.Now()
				mu.Lock()
				latencies = append(latencies, now.Sub(offered[r.Header.Get(signing.HeaderID)]))
				mu.Unlock()
				came.Add(1)
			}))
			defer healthy.Close()
			silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
			}))
			defer silent.Close()
			client := guarded(500 * time.Millisecond)
			defer client.Close()
			s := settings(newWorld(), nil)
			s.Limits.Hooks, s.Limits.Workers, s.Limits.Concurrency = 100, 64, 4
			s.Observe = nobody{}
			s.Send = client.Send
			e, err := Open(b.Context(), s)
			require.NoError(b, err)
			e.Start()
			for i := range 100 {
				h := hookOf(healthy.URL)
				if i < dead {
					h = hookOf(silent.URL)
				}
				h.Owner = root
				_, err := e.Create(b.Context(), h)
				require.NoError(b, err)
			}
			m := Mark{Key: [16]byte{1}}
			want := int64(0)
			offer := func() {
				m.Sequence++
				ev := Event{ID: uuid.New(), Type: ResourceUsage, At: time.Now().Add(time.Hour).UnixNano(), InstanceID: "vm", UserID: "alex"}
				mu.Lock()
				offered[ev.ID.String()] = time.Now()
				mu.Unlock()
				batch := e.Begin()
				batch.Offer(&ev, m, func(dst []byte) []byte { return append(dst, `{"a":1}`...) })
				batch.Commit(b.Context())
				want += int64(100 - dead)
				for came.Load() < want {
					time.Sleep(50 * time.Microsecond)
				}
			}
			offer() // nobody knows yet who is dead
			time.Sleep(time.Second)
			mu.Lock()
			latencies = latencies[:0]
			mu.Unlock()
			for b.Loop() {
				offer()
			}
			b.StopTimer()
			require.NoError(b, e.Shutdown(b.Context()))
			slices.Sort(latencies)
			b.ReportMetric(float64(latencies[len(latencies)/2])/1e6, "ms/p50")
			b.ReportMetric(float64(latencies[len(latencies)*99/100])/1e6, "ms/p99")
		})
	}
}

// BenchmarkOpen opens an engine with a thousand hooks and ten thousand deliveries that wait.
func BenchmarkOpen(b *testing.B) {
	d := newDisk()
	s := settings(newWorld(), d)
	s.Limits.Hooks, s.Limits.PerHook, s.Limits.Pending = 2000, 1<<20, 1<<20
	s.Observe = nobody{}
	e, err := Open(b.Context(), s)
	require.NoError(b, err)
	for i := range 1000 {
		h := hookOf("https://example.com/hook")
		h.Owner = Owner{UserID: fmt.Sprintf("user-%d", i)}
		_, err := e.Create(b.Context(), h)
		require.NoError(b, err)
	}
	payload := bytes.Repeat([]byte("x"), 2000)
	for i := range 10_000 {
		batch := e.Begin()
		ev := Event{ID: uuid.New(), Type: ResourceUsage, At: time.Now().Add(time.Hour).UnixNano(), InstanceID: "vm", UserID: fmt.Sprintf("user-%d", i%1000)}
		batch.Offer(&ev, Mark{}, func(dst []byte) []byte { return append(dst, payload...) })
		batch.Commit(b.Context())
	}
	b.ReportAllocs()
	for b.Loop() {
		e, err := Open(b.Context(), s)
		if err != nil || e.Stats().Pending != 10_000 {
			b.Fatal(err)
		}
	}
}

// BenchmarkRegistered measures what a thousand hooks take that have nothing to do.
func BenchmarkRegistered(b *testing.B) {
	const hooks = 1000
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for b.Loop() {
		s := settings(newWorld(), nil)
		s.Limits.Hooks, s.Observe = hooks, nobody{}
		before, goroutines := heap(), runtime.NumGoroutine()
		e, err := Open(b.Context(), s)
		require.NoError(b, err)
		e.Start()
		for i := range hooks {
			h := hookOf("https://example.com/hook")
			h.Owner = Owner{UserID: fmt.Sprintf("user-%d", i)}
			_, err := e.Create(b.Context(), h)
			require.NoError(b, err)
		}
		b.ReportMetric(float64(heap()-before)/hooks, "B/hook")
		b.ReportMetric(float64(runtime.NumGoroutine()-goroutines), "goroutines")
		require.NoError(b, e.Shutdown(b.Context()))
	}
}
