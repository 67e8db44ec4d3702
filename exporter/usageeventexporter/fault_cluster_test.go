package usageeventexporter

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.opentelemetry.io/collector/component/componentstatus"
)

// Some partitions take their share of a batch, one does not for a while: what
// was acknowledged is not sent again.
func TestPartOfABatchFails(t *testing.T) {
	for _, e := range []*kerr.Error{
		kerr.NotLeaderForPartition, kerr.NotEnoughReplicas, kerr.KafkaStorageError, kerr.PolicyViolation,
		kerr.OutOfOrderSequenceNumber, kerr.UnknownProducerID, kerr.InvalidProducerEpoch, kerr.InvalidRecord, kerr.MessageTooLarge,
	} {
		t.Run(e.Message, func(t *testing.T) {
			play(t, setting{partitions: 3}, func(t *testing.T, s *stage) {
				s.within(time.Second, s.deliver(s.periods(30)...))
				fault := produceFault(e, innerRetries+2)
				if verdictOn(sarama.KError(e.Code)).letter != "" {
					fault.Count = 1
				}
				fault.Partitions = []int32{1}
				handle := s.cluster.Fault(fault)
				s.within(20*time.Second, s.deliver(s.periods(30)...))
				assert.Equal(t, fault.Count, handle.Hits())
				s.has(kept{events: 60}, 0)
			})
		})
	}
}

// With record_errors a broker says which record of a batch it means; sarama does
// not read them, and fails all of the batch. The search finds it all the same.
func TestRecordErrors(t *testing.T) {
	play(t, setting{config: func(c *Config) { c.ProtocolVersion = "3.6.0" }}, func(t *testing.T, s *stage) {
		var said atomic.Int64
		s.cluster.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
			s.cluster.KeepControl()
			req := r.(*kmsg.ProduceRequest)
			resp := req.ResponseKind().(*kmsg.ProduceResponse)
			if req.Version < 8 || req.Topics[0].Topic != "usage_events" {
				return nil, nil, false
			}
			records := req.Topics[0].Partitions[0].Records
			var batch kmsg.RecordBatch
			require.NoError(t, batch.ReadFrom(records))
			all, err := kfake.BatchRecords(batch)
			require.NoError(t, err)
			rp := kmsg.NewProduceResponseTopicPartition()
			for i, rec := range all {
				if bytes.HasPrefix(rec.Key, []byte("poison-")) {
					re := kmsg.NewProduceResponseTopicPartitionErrorRecord()
					re.RelativeOffset, re.ErrorMessage = int32(i), new("no")
					rp.ErrorCode, rp.ErrorRecords = kerr.InvalidRecord.Code, append(rp.ErrorRecords, re)
				}
			}
			if rp.ErrorCode == 0 {
				return nil, nil, false
			}
			said.Add(1)
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic, rt.Partitions = "usage_events", append(rt.Partitions, rp)
			resp.Topics = append(resp.Topics, rt)
			return resp, nil, true
		})
		s.within(time.Second, s.deliver(s.periods(100, 0, 17, 99)...))
		s.has(kept{events: 97, letters: 3}, 0)
		assert.Positive(t, said.Load())
	})
}

// Leaders move with every batch, over three brokers.
func TestLeadersMove(t *testing.T) {
	const partitions = 6
	play(t, setting{brokers: 3, partitions: partitions}, func(t *testing.T, s *stage) {
		var under []*delivery
		for range 40 {
			under = append(under, s.deliver(s.periods(20)...))
			for p := range int32(partitions) {
				require.NoError(t, s.cluster.MoveTopicPartition("usage_events", p, (s.cluster.LeaderFor("usage_events", p)+1)%3))
			}
			require.NoError(t, s.cluster.MoveTopicPartition(dlq, 0, (s.cluster.LeaderFor(dlq, 0)+1)%3))
			time.Sleep(100 * time.Millisecond)
		}
		for _, d := range under {
			s.within(time.Minute, d)
		}
		s.has(kept{events: 800}, 0)
	})
}

// Brokers go, one after the other, and others come; the first is not among them
// in the end.
func TestBrokersComeAndGo(t *testing.T) {
	play(t, setting{brokers: 3, partitions: 6, config: func(c *Config) {
		c.Brokers = []string{"127.0.0.1:9092", "127.0.0.1:9093", "127.0.0.1:9094"}
	}}, func(t *testing.T, s *stage) {
		var under []*delivery
		for i := range int32(2) {
			for range 5 {
				under = append(under, s.deliver(s.periods(20)...))
				time.Sleep(time.Second)
			}
			require.NoError(t, s.cluster.RemoveNode(i))
			s.network.cut()
			_, _, err := s.cluster.AddNode(10+i, 9102+int(i))
			require.NoError(t, err)
		}
		under = append(under, s.deliver(s.periods(20)...))
		for _, d := range under {
			s.within(time.Minute, d)
		}
		s.has(kept{events: 220}, 0)
	})
}

// A batch whose answer was lost is asked about by its sequence: sarama's own
// repeats are found out. The broker has each once.
func TestAnswersAreLost(t *testing.T) {
	for _, partitions := range []int32{1, 3} {
		for _, times := range []int{1, innerRetries, 2 * innerRetries, 20} {
			t.Run(fmt.Sprintf("%d/%d", partitions, times), func(t *testing.T) {
				play(t, setting{partitions: partitions}, func(t *testing.T, s *stage) {
					s.within(time.Second, s.deliver(s.periods(30)...))
					s.network.lose(times)
					s.within(2*time.Minute, s.deliver(s.periods(30)...))
					s.within(time.Second, s.deliver(s.periods(30)...))
					repeats := 0
					if times > innerRetries { // each attempt that gave up may have written its records once
						repeats = 30 * (times/(innerRetries+1) + 1)
					}
					s.has(kept{events: 90}, repeats)
				})
			})
		}
	}
}

// While a broker makes its clients wait, for less or for longer than an attempt
// may take, events arrive all the same.
func TestThrottling(t *testing.T) {
	for _, wait := range []time.Duration{20 * time.Millisecond, 150 * time.Millisecond, time.Second} {
		t.Run(wait.String(), func(t *testing.T) {
			t.Parallel()
			playLive(t, setting{}, func(t *testing.T, s *stage) {
				s.network.throttle(wait)
				for range 4 {
					s.within(patience, s.deliver(s.periods(10)...))
				}
				s.network.throttle(0)
				s.within(patience, s.deliver(s.periods(10)...))
				s.has(kept{events: 50}, s.tolerable(0))
			})
		})
	}
}

func reauthenticating(c *setting) {
	c.admin = "meter"
	c.config = func(c *Config) {
		asMeter(c)
		c.ProtocolVersion = "2.2.0" // an older client is not told how long a session lasts
	}
	c.options = []kfake.Opt{
		kfake.EnableSASL(), kfake.Superuser("PLAIN", "meter", "secret"),
		kfake.BrokerConfigs(map[string]string{"connections.max.reauth.ms": "60000"}),
	}
}

// A session of SASL ends every minute and is begun again on the same connection.
func TestASASLSessionIsRenewed(t *testing.T) {
	var set setting
	reauthenticating(&set)
	play(t, set, func(t *testing.T, s *stage) {
		logins := s.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.SASLAuthenticate}, Observe: true, TopLevel: true, Count: -1})
		for range 60 {
			d := s.deliver(s.periods(5)...)
			s.within(time.Second, d)
			assert.Empty(t, d.refused)
			time.Sleep(10 * time.Second)
		}
		assert.GreaterOrEqual(t, logins.Hits(), 9)
		assert.Equal(t, []componentstatus.Status{componentstatus.StatusOK}, s.rig.host.statuses())
		s.has(kept{events: 300}, 0)
	})
}

// Credentials expire while a session lasts: its renewal is refused, and so are
// new ones, until they are accepted again.
func TestCredentialsExpire(t *testing.T) {
	var set setting
	reauthenticating(&set)
	play(t, set, func(t *testing.T, s *stage) {
		var under []*delivery
		var rejected atomic.Bool
		s.cluster.ControlKey(int16(kmsg.SASLAuthenticate), func(r kmsg.Request) (kmsg.Response, error, bool) {
			s.cluster.KeepControl()
			resp := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
			resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
			return resp, nil, rejected.Load()
		})
		for i := range 60 {
			rejected.Store(i >= 12 && i < 36)
			under = append(under, s.deliver(s.periods(5)...))
			time.Sleep(10 * time.Second)
			if i == 35 {
				require.False(t, under[30].confirmed())
			}
		}
		for _, d := range under {
			s.within(time.Minute, d)
		}
		failed := s.rig.logs.FilterMessageSnippet(publishing + " fails").All()
		require.NotEmpty(t, failed)
		assert.Contains(t, failed[0].ContextMap()["error"], "the brokers reject auth::sasl")
		s.has(kept{events: 300}, 0)
	})
}
