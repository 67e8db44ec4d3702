package usageeventexporter

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/config/configoptional"
)

// A standing fault lasts until it is healed.
type standing struct {
	setting setting
	lasts   time.Duration // 2 minutes where 0
	begin   func(*stage) (heal func())
	// repeats is how many records there may be beyond one for each event: the
	// broker had them, and nobody heard of it.
	repeats int
	// opens: the breaker keeps attempts away.
	opens bool
	// lost is how many events the broker lost after it had acknowledged them.
	lost int
}

// unanswered makes the broker take requests of a kind and answer none.
func unanswered(key int16) func(*stage) func() {
	return func(s *stage) func() {
		var off atomic.Bool
		s.cluster.ControlKey(key, func(kmsg.Request) (kmsg.Response, error, bool) {
			s.cluster.KeepControl()
			return nil, nil, !off.Load()
		})
		s.network.cut()
		return func() { off.Store(true) }
	}
}

// refused makes a fault of kfake a standing one.
func refused(f kfake.Fault) func(*stage) func() {
	return func(s *stage) func() {
		f.Count = -1
		return s.cluster.Fault(f).Remove
	}
}

func produceRefused(e *kerr.Error) func(*stage) func() { return refused(produceFault(e, -1)) }

func asMeter(c *Config) {
	c.Auth.SASL = configoptional.Some(SASLConfig{Mechanism: "PLAIN", Username: "meter", Password: "secret"})
}

// repeatsWhileNobodyHears: each attempt that the breaker lets through writes the
// batch once more, though sarama's own repeats within it are found out.
const repeatsWhileNobodyHears = 3 * (5 + 1 + 12)

func standingFaults() map[string]standing {
	return map[string]standing{
		"connections refused": {opens: true, begin: func(s *stage) func() {
			s.network.refuse(true)
			return func() { s.network.refuse(false) }
		}},
		"half an hour": {opens: true, lasts: 30 * time.Minute, begin: func(s *stage) func() {
			s.network.refuse(true)
			return func() { s.network.refuse(false) }
		}},
		"cut before the append": {opens: true, begin: func(s *stage) func() {
			var off atomic.Bool
			s.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
				s.cluster.KeepControl()
				return nil, errors.New("cut"), !off.Load()
			})
			return func() { off.Store(true) }
		}},
		"cut after the append": {opens: true, repeats: repeatsWhileNobodyHears, begin: func(s *stage) func() {
			s.network.lose(-1)
			return func() { s.network.lose(0) }
		}},
		"no leader":                 {opens: true, begin: produceRefused(kerr.LeaderNotAvailable)},
		"too few replicas":          {opens: true, begin: produceRefused(kerr.NotEnoughReplicas)},
		"too few after the append":  {opens: true, repeats: repeatsWhileNobodyHears, begin: produceRefused(kerr.NotEnoughReplicasAfterAppend)},
		"a full disk at the broker": {opens: true, begin: produceRefused(kerr.KafkaStorageError)},
		"an unknown error":          {opens: true, begin: produceRefused(kerr.UnknownServerError)},
		"out of order":              {begin: produceRefused(kerr.OutOfOrderSequenceNumber)},
		"unknown producer":          {begin: produceRefused(kerr.UnknownProducerID)},
		"an old epoch":              {begin: produceRefused(kerr.InvalidProducerEpoch)},
		"fenced":                    {begin: produceRefused(kerr.ProducerFenced)},
		"an unknown mapping":        {begin: produceRefused(kerr.InvalidProducerIDMapping)},
		"a clock":                   {begin: produceRefused(kerr.InvalidTimestamp)},
		"a policy":                  {begin: produceRefused(kerr.PolicyViolation)},
		"a quota":                   {begin: produceRefused(kerr.ThrottlingQuotaExceeded)},
		"no id for the producer": {begin: func(s *stage) func() {
			s.renew()
			return refused(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, TopLevel: true, Err: kerr.ClusterAuthorizationFailed})(s)
		}},
		"an ACL": {
			setting: setting{
				options: []kfake.Opt{
					kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("PLAIN", "admin", "secret"),
					kfake.User("PLAIN", "meter", "secret",
						kfake.ACL{Resource: kmsg.ACLResourceTypeTopic, Name: "usage_events", Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: kmsg.ACLOperationWrite, Allow: true},
						kfake.ACL{Resource: kmsg.ACLResourceTypeTopic, Name: dlq, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: kmsg.ACLOperationWrite, Allow: true},
						kfake.ACL{Resource: kmsg.ACLResourceTypeCluster, Name: "kafka-cluster", Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: kmsg.ACLOperationIdempotentWrite, Allow: true}),
				},
				config: asMeter, admin: "admin",
			},
			begin: func(s *stage) func() {
				s.acl(kmsg.ACLPermissionTypeDeny, true)
				return func() { s.acl(kmsg.ACLPermissionTypeDeny, false) }
			},
		},
		"rejected credentials": {
			opens:   true,
			setting: setting{options: []kfake.Opt{kfake.EnableSASL(), kfake.Superuser("PLAIN", "meter", "secret")}, config: asMeter, admin: "meter"},
			begin: func(s *stage) func() {
				var off atomic.Bool
				s.cluster.ControlKey(int16(kmsg.SASLAuthenticate), func(r kmsg.Request) (kmsg.Response, error, bool) {
					s.cluster.KeepControl()
					resp := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
					resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
					return resp, nil, !off.Load()
				})
				s.network.cut()
				return func() { off.Store(true) }
			},
		},
		"no topic": {
			lost: 3,
			begin: func(s *stage) func() {
				require.NoError(s.t, s.cluster.DeleteTopic("usage_events"))
				return func() { require.NoError(s.t, s.cluster.CreateTopic("usage_events", 2, nil)) }
			},
		},
		"a restart without its data": {
			opens: true, lost: 3,
			begin: func(s *stage) func() {
				s.cluster.Close()
				return func() { s.openKafka(setting{}) }
			},
		},
		"a restart with its data": {
			opens:   true,
			setting: setting{keep: true},
			begin: func(s *stage) func() {
				s.cluster.Close()
				return func() { s.openKafka(setting{keep: true}) }
			},
		},
	}
}

// hangingFaults are those in which something waits for an answer.
func hangingFaults() map[string]standing {
	return map[string]standing{
		"no route": {opens: true, begin: func(s *stage) func() {
			s.network.swallow(true)
			return func() { s.network.swallow(false) }
		}},
		"accepts and never answers":                  {opens: true, begin: unanswered(-1)},
		"never answers to a produce":                 {opens: true, begin: unanswered(int16(kmsg.Produce))},
		"never answers to a question about metadata": {opens: true, begin: unanswered(int16(kmsg.Metadata))},
		"never gives a producer id": {opens: true, begin: func(s *stage) func() {
			s.renew()
			return unanswered(int16(kmsg.InitProducerID))(s)
		}},
	}
}

func TestStandingFaults(t *testing.T) {
	for name, f := range standingFaults() {
		t.Run(name, func(t *testing.T) {
			play(t, f.setting, func(t *testing.T, s *stage) {
				standAndHeal(s, f, func(d *delivery) { time.Sleep(max(f.lasts, 2*time.Minute)) })
			})
		})
	}
	for name, f := range hangingFaults() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			playLive(t, f.setting, func(t *testing.T, s *stage) {
				standAndHeal(s, f, func(d *delivery) {
					for range 2 {
						<-d.refused
					}
				})
			})
		})
	}
}

// standAndHeal has one batch before a fault, one that begins with it, and one
// after it. lasts returns when it is to be healed.
func standAndHeal(s *stage, f standing, lasts func(*delivery)) {
	s.within(patience, s.deliver(s.periods(3)...))
	heal := f.begin(s)
	d := s.deliver(s.periods(3)...)
	begun, dials := time.Now(), s.network.dialed()
	lasts(d)
	require.False(s.t, d.confirmed(), "not before it is healed")
	dials = s.network.dialed() - dials
	assert.Equal(s.t, componentstatus.StatusRecoverableError, s.rig.host.last())
	if c := s.rig.cfg.CircuitBreaker; f.opens {
		attempts := int(c.ConsecutiveFailures) + 1 + int(time.Since(begun)/c.OpenInterval)
		assert.LessOrEqual(s.t, dials, attempts*dialsOfAnAttempt, "Kafka is left alone")
	}
	heal()
	s.within(time.Minute, d)
	s.within(patience, s.deliver(s.periods(3)...))
	assert.Equal(s.t, componentstatus.StatusOK, s.rig.host.last())
	s.has(kept{events: 9 - f.lost}, s.tolerable(f.repeats))
}

// tolerable returns repeats and those that any fault may leave: where it ends
// between two requests of the last try that max_elapsed_time allows, the batch is
// offered again with what was acknowledged. By the real clock, Kafka may also seem
// silent to a slow machine.
func (s *stage) tolerable(repeats int) int {
	if s.live {
		return repeats + 9
	}
	return repeats + 2
}

// dialsOfAnAttempt is how often one may dial: sarama asks the one broker again,
// and looks up metadata again.
const dialsOfAnAttempt = 20

// Whatever is wrong, Shutdown ends it in time, and who comes next delivers what
// was left.
func TestShutdownDuringAFault(t *testing.T) {
	for name, f := range standingFaults() {
		for _, after := range []time.Duration{0, time.Second, 47 * time.Second} {
			t.Run(name+"/"+after.String(), func(t *testing.T) {
				play(t, f.setting, func(t *testing.T, s *stage) {
					standAndShutDown(s, f, func(d *delivery) { time.Sleep(after) })
				})
			})
		}
	}
	for name, f := range hangingFaults() {
		for _, after := range []int{0, 2} {
			t.Run(fmt.Sprintf("%s/%d", name, after), func(t *testing.T) {
				t.Parallel()
				playLive(t, f.setting, func(t *testing.T, s *stage) {
					standAndShutDown(s, f, func(d *delivery) {
						for range after {
							<-d.refused
						}
					})
				})
			})
		}
	}
}

// standAndShutDown has one batch before a fault, and one that begins with it and
// is under way at Shutdown, when after returns.
func standAndShutDown(s *stage, f standing, after func(*delivery)) {
	s.within(patience, s.deliver(s.periods(3)...))
	heal := f.begin(s)
	left := s.periods(3)
	d := s.deliver(left...)
	after(d)
	s.close()
	<-d.done
	require.Error(s.t, d.last)
	require.ErrorIs(s.t, s.rig.ConsumeMetrics(context.Background(), usageOf(left...)), errStopped)
	heal()
	s.openExporter(f.setting.config)
	s.within(time.Minute, s.deliver(left...))
	s.has(kept{events: 6 - f.lost}, s.tolerable(f.repeats))
}
