package usageeventexporter

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// allCodes returns the error codes that Kafka has.
func allCodes() []*kerr.Error {
	var out []*kerr.Error
	for code := int16(-1); code < 1000; code++ {
		if e := kerr.TypedErrorForCode(code); e != nil && (code == kerr.UnknownServerError.Code || e != kerr.UnknownServerError) {
			out = append(out, e)
		}
	}
	return out
}

func TestEveryCodeIsJudgedOnce(t *testing.T) {
	times := map[sarama.KError]int{}
	for _, j := range codes {
		assert.NotEmpty(t, j.why)
		for _, c := range j.codes {
			times[c]++
			assert.Equal(t, j.verdict, verdictOn(c))
		}
	}
	all := allCodes()
	require.Greater(t, len(all), 130)
	for _, e := range all {
		assert.Equal(t, 1, times[sarama.KError(e.Code)], "%s (%d)", e.Message, e.Code)
	}
	assert.Len(t, times, len(all))
	assert.Zero(t, verdictOn(30_000), "a code that is yet to come is sent again")
}

// produceFault makes a broker refuse what is written to usage_events.
func produceFault(e *kerr.Error, times int) kfake.Fault {
	return kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "usage_events", Err: e, Count: times}
}

// refusesPoison makes a broker refuse batches in which an instance is poison.
func refusesPoison(e *kerr.Error) kfake.Fault {
	f := produceFault(e, -1)
	f.When = func(r kmsg.Request) bool {
		for _, topic := range r.(*kmsg.ProduceRequest).Topics {
			for _, p := range topic.Partitions {
				if bytes.Contains(p.Records, []byte("poison-")) {
					return true
				}
			}
		}
		return false
	}
	return f
}

// Whatever a broker answers to one request, or to more than sarama tries by
// itself: all events arrive, and no letter is written.
func TestEveryCodeOfAProduceRequest(t *testing.T) {
	afterAppend := map[*kerr.Error]bool{kerr.RequestTimedOut: true, kerr.NotEnoughReplicasAfterAppend: true}
	for _, e := range allCodes() {
		for _, times := range []int{1, innerRetries + 1, 3*innerRetries + 3} {
			switch {
			case e == kerr.DuplicateSequenceNumber: // see TestADuplicateIsAcknowledged
				continue
			case verdictOn(sarama.KError(e.Code)).letter != "" && times > 1: // see TestEveryFinalCode
				continue
			}
			t.Run(fmt.Sprintf("%s/%d", e.Message, times), func(t *testing.T) {
				play(t, setting{}, func(t *testing.T, s *stage) {
					s.within(time.Second, s.deliver(s.periods(3)...))
					fault := s.cluster.Fault(produceFault(e, times))
					s.within(time.Minute, s.deliver(s.periods(3)...))
					s.within(time.Second, s.deliver(s.periods(3)...))
					require.Equal(t, times, fault.Hits())
					repeats := 0
					if afterAppend[e] { // a batch of its own each time that sarama gave up
						repeats = 3 * (times / (innerRetries + 1))
					}
					if times > innerRetries+1 { // beyond max_elapsed_time all of it is offered again
						repeats += 2
					}
					s.has(kept{events: 9}, repeats)
				})
			})
		}
	}
}

// The same of the requests that come before: of the metadata and of an id.
func TestEveryCodeBeforeAProduceRequest(t *testing.T) {
	for _, e := range allCodes() {
		for what, fault := range map[string]kfake.Fault{
			"metadata":   {Keys: []kmsg.Key{kmsg.Metadata}, Topic: "usage_events", Err: e},
			"producerid": {Keys: []kmsg.Key{kmsg.InitProducerID}, TopLevel: true, Err: e},
		} {
			if what == "metadata" && verdictOn(sarama.KError(e.Code)).letter != "" {
				continue // no answer to a question about a topic
			}
			t.Run(e.Message+"/"+what, func(t *testing.T) {
				play(t, setting{}, func(t *testing.T, s *stage) {
					fault.Count = 8
					handle := s.cluster.Fault(fault)
					s.within(2*time.Minute, s.deliver(s.periods(3)...))
					assert.Equal(t, fault.Count, handle.Hits())
					s.within(time.Second, s.deliver(s.periods(3)...))
					s.has(kept{events: 6}, 0)
				})
			})
		}
	}
}

// What is refused alone for what is in it becomes a letter, and nothing else does.
func TestEveryFinalCode(t *testing.T) {
	for _, e := range []*kerr.Error{kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidRecord} {
		for name, poison := range map[string][]int{"first": {0}, "last": {39}, "some": {3, 4, 20}, "none": nil} {
			t.Run(e.Message+"/"+name, func(t *testing.T) {
				play(t, setting{partitions: 3}, func(t *testing.T, s *stage) {
					s.cluster.Fault(refusesPoison(e))
					s.within(time.Second, s.deliver(s.periods(40, poison...)...))
					s.within(time.Second, s.deliver(s.periods(3)...))
					s.has(kept{events: 43 - len(poison), letters: len(poison)}, 0)
				})
			})
		}
	}
}

// A broker that has a batch already says so, and sarama believes it.
func TestADuplicateIsAcknowledged(t *testing.T) {
	play(t, setting{}, func(t *testing.T, s *stage) {
		s.within(time.Second, s.deliver(s.periods(3)...))
		for range 3 {
			s.network.lose(1)
			s.within(30*time.Second, s.deliver(s.periods(3)...))
		}
		s.has(kept{events: 12}, 0)
	})
}
