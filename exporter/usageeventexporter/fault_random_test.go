package usageeventexporter

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

var faultSeed = flag.Uint64("fault_seed", 0, "seed of TestRandomFaults; 0 runs a few")

// Hundreds of batches, some with poison, of many who deliver at once, while
// faults of all kinds come, overlap and go. When all are healed every event is
// there, and a letter for each that is poison.
func TestRandomFaults(t *testing.T) {
	seeds := []uint64{1, 2, uint64(time.Now().UnixNano())}
	if *faultSeed != 0 {
		seeds = []uint64{*faultSeed}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("fault_seed=%d", seed), func(t *testing.T) {
			play(t, setting{brokers: 3, partitions: 6}, func(t *testing.T, s *stage) {
				r := rand.New(rand.NewPCG(seed, 0))
				s.cluster.Fault(refusesPoison(kerr.InvalidRecord))
				const senders, batches, size = 8, 30, 10
				deliveries := make(chan *delivery, senders*batches)
				letters := 0
				for range senders {
					var mine [][]int
					for range batches {
						var poison []int
						if r.IntN(5) == 0 {
							poison = append(poison, r.IntN(size))
						}
						letters += len(poison)
						mine = append(mine, poison)
					}
					pauses := rand.New(rand.NewPCG(seed, r.Uint64()))
					all := make([][]*usage.Period, batches)
					for i, poison := range mine {
						all[i] = s.periods(size, poison...)
					}
					go func() {
						for _, periods := range all {
							time.Sleep(time.Duration(pauses.IntN(4000)) * time.Millisecond)
							d := s.deliver(periods...)
							deliveries <- d
							<-d.done
						}
					}()
				}
				for range 60 {
					heal := s.randomFault(r)
					time.Sleep(time.Duration(r.IntN(4000)) * time.Millisecond)
					heal()
				}
				s.network.refuse(false)
				for range senders * batches {
					s.within(5*time.Minute, <-deliveries)
				}
				got := s.counted()
				t.Logf("%d repeats of %d events", got.repeats, senders*batches*size)
				// No fault lasts for more attempts than a few, each of which may
				// write what nobody hears of, and the batch is then offered whole.
				s.has(kept{events: senders*batches*size - letters, letters: letters}, senders*batches*size/10)
			})
		})
	}
}

// randomFault begins one and returns what ends it.
func (s *stage) randomFault(r *rand.Rand) (heal func()) {
	all := allCodes()
	once := func() {}
	switch r.IntN(8) {
	case 0:
		s.network.refuse(true)
		return func() { s.network.refuse(false) }
	case 1:
		s.network.cut()
		return once
	case 2:
		s.network.lose(1 + r.IntN(6))
		return func() { s.network.lose(0) }
	case 3: // a code for a while
		return s.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: s.retriable(r, all), Count: -1}).Remove
	case 4: // a code a few times, of one partition
		f := produceFault(s.retriable(r, all), 1+r.IntN(6))
		f.Partitions = []int32{int32(r.IntN(6))}
		s.cluster.Fault(f)
		return once
	case 5:
		for range 4 {
			require.NoError(s.t, s.cluster.MoveTopicPartition("usage_events", int32(r.IntN(6)), int32(r.IntN(3))))
		}
		return once
	case 6:
		return s.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: "usage_events", Err: s.retriable(r, all), Count: 1 + r.IntN(4)}).Remove
	default:
		s.renew()
		return s.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, TopLevel: true, Err: s.retriable(r, all), Count: 1 + r.IntN(4)}).Remove
	}
}

// retriable returns a code that leads to no letter, and says nothing untrue.
func (s *stage) retriable(r *rand.Rand, all []*kerr.Error) *kerr.Error {
	for {
		e := all[r.IntN(len(all))]
		if e != kerr.DuplicateSequenceNumber && verdictOn(sarama.KError(e.Code)).letter == "" {
			return e
		}
	}
}
