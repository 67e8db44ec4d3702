package webhook

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/outbound"
)

// BenchmarkOffer offers an event that one hook takes, or none, while others are there. What it
// costs does not depend on how many.
func BenchmarkOffer(b *testing.B) {
	for _, hooks := range []int{1, 100, 10_000} {
		for _, wanted := range []bool{false, true} {
			b.Run(fmt.Sprintf("hooks=%d/wanted=%v", hooks, wanted), func(b *testing.B) {
				s := settings(newWorld(), nil)
				s.Limits.Hooks = hooks + 1
				s.Limits.History, s.Limits.PerHook, s.Limits.Pending = 0, 1<<30, 1<<30
				s.Limits.Memory = 1 << 20
				s.Observe = nobody{}
				e, err := Open(b.Context(), s)
				require.NoError(b, err)
				for i := range hooks {
					h := hookOf("https://example.com")
					h.Owner = Owner{UserID: fmt.Sprintf("user-%d", i)}
					_, err := e.Create(b.Context(), h)
					require.NoError(b, err)
				}
				payload := make([]byte, 1500)
				ev := Event{Type: ResourceUsage, At: time.Now().Add(time.Hour).UnixNano(), InstanceID: "vm", UserID: "nobody", OrgID: "o"}
				if wanted {
					ev.UserID = "user-0"
				}
				m := Mark{Key: [16]byte{1}}
				b.ReportAllocs()
				for b.Loop() {
					m.Sequence++
					batch := e.Begin()
					batch.Offer(&ev, m, func(dst []byte) []byte { return append(dst, payload...) })
					batch.Commit(b.Context())
				}
			})
		}
	}
}

// BenchmarkDispatch takes events through the engine to a sender that does nothing: what the
// engine itself costs for a delivery.
func BenchmarkDispatch(b *testing.B) {
	for _, kept := range []bool{false, true} {
		b.Run(fmt.Sprintf("storage=%v", kept), func(b *testing.B) {
			var got sync.WaitGroup
			s := settings(newWorld(), nil)
			if kept {
				s.Storage = newDisk()
			}
			s.Limits.PerHook, s.Limits.Pending = 1<<30, 1<<30
			s.Observe = nobody{}
			s.Send = func(_ context.Context, _ outbound.Request) outbound.Outcome {
				got.Done()
				return ok()
			}
			e, err := Open(b.Context(), s)
			require.NoError(b, err)
			e.Start()
			for i := range 10 {
				h := hookOf("https://example.com")
				h.Owner = Owner{UserID: fmt.Sprintf("user-%d", i)}
				_, err := e.Create(b.Context(), h)
				require.NoError(b, err)
			}
			payload := make([]byte, 1500)
			m := Mark{Key: [16]byte{1}}
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				// A hundred events at a time, as they come.
				if n%100 == 0 {
					got.Wait()
					got.Add(100)
					batch := e.Begin()
					for i := range 100 {
						m.Sequence++
						ev := Event{ID: uuid.UUID{1}, Type: ResourceUsage, At: time.Now().Add(time.Hour).UnixNano(), InstanceID: "vm", UserID: fmt.Sprintf("user-%d", i%10)}
						batch.Offer(&ev, m, func(dst []byte) []byte { return append(dst, payload...) })
					}
					batch.Commit(b.Context())
				}
				n++
			}
			got.Wait()
			require.NoError(b, e.Shutdown(b.Context()))
		})
	}
}

// nobody watches.
type nobody struct{}

func (nobody) Accepted(Type, int)                            {}
func (nobody) Repeated(Type)                                 {}
func (nobody) Attempted(Type, outbound.Class, time.Duration) {}
func (nobody) Finished(Type, State, Drop)                    {}
func (nobody) Written(error)                                 {}
func (nobody) Damaged(string, error)                         {}
func (nobody) StatusChanged(*Hook, bool)                     {}
