package usageeventexporter

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configtls"

	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter/internal/metadatatest"
	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

// instances returns one period of each of n instances.
func instances(n int) []*usage.Period {
	var out []*usage.Period
	for i := range n {
		p := usagetest.Host(uint64(i + 1))
		p.Instance.ID = fmt.Sprintf("vm-%d", i)
		out = append(out, p)
	}
	return out
}

func TestDelivery(t *testing.T) {
	for _, compression := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		t.Run(compression, func(t *testing.T) {
			cluster := kafka(t, 3)
			r := start(t, quick(cluster.ListenAddrs(), func(c *Config) { c.Producer.Compression = compression }))
			periods := instances(20)
			require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(periods...)))
			require.Equal(t, 20, stored(cluster), "all are there when it says yes")

			want := map[string]*usage.Period{}
			for _, p := range periods {
				want[p.Instance.ID] = p
			}
			partitioner := kgo.StickyKeyPartitioner(nil).ForTopic("usage_events")
			size := 0
			for _, got := range consume(t, cluster, 20) {
				p := want[string(got.Key)]
				require.NotNil(t, p, "%s", got.Key)
				delete(want, string(got.Key))
				assert.Equal(t, string(event.AppendUsage(nil, event.V1_1, p)), string(got.Value))
				assert.Equal(t, p.End/1e6, got.Timestamp.UnixMilli())
				assert.EqualValues(t, partitioner.Partition(&kgo.Record{Key: got.Key}, 3), got.Partition, "as the Java client does")
				headers := map[string]string{}
				for _, h := range got.Headers {
					headers[h.Key] = string(h.Value)
				}
				assert.Equal(t, headersOf(converted(t, r.cfg, usageOf(p)).records[0]), headers)
				size += len(got.Value)
			}
			assert.Equal(t, []string(nil), r.lines(), "what works needs no words")
			assert.Equal(t, []componentstatus.Status{componentstatus.StatusOK}, r.host.statuses())
			metadatatest.AssertEqualExporterUsageEventEventsSent(t, r.tel, usageSent(20), ignore...)
			metadatatest.AssertEqualExporterUsageEventBytesSent(t, r.tel, usageSent(int64(size)), ignore...)
		})
	}
}

func TestLevelsNeverReachTheBroker(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	accepted := make(chan struct{}, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		if c, err := l.Accept(); err == nil {
			accepted <- struct{}{}
			_ = c.Close()
		}
	})
	r := start(t, quick([]string{l.Addr().String()}, func(c *Config) { c.DeadLetter.Topic = "" }))
	require.NoError(t, r.ConsumeMetrics(t.Context(), levels()))
	torn := usageOf(usagetest.Host(1))
	torn.ResourceMetrics().At(0).Resource().Attributes().Remove(usage.AttrVMID)
	require.NoError(t, r.ConsumeMetrics(t.Context(), torn), "nor does what is no event: offering it again would not help")
	require.NoError(t, l.Close())
	wg.Wait()
	assert.Empty(t, accepted)
	assert.Empty(t, r.host.statuses())
	metadatatest.AssertEqualExporterUsageEventPointsIgnored(t, r.tel, count(6), ignore...)
	metadatatest.AssertEqualExporterUsageEventRecordsRefused(t, r.tel, byReason(map[string]int64{"no_instance": 1}), ignore...)
}

// offer hands one period over until it is taken, as the ledger does, and
// returns how often it was refused.
func offer(t *testing.T, r *rig, p *usage.Period, refused func(times int)) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for times := 1; ; times++ {
		err := r.ConsumeMetrics(t.Context(), usageOf(p))
		if err == nil {
			return
		}
		require.True(t, time.Now().Before(deadline), "%v", err)
		refused(times)
	}
}

func noRetry(c *Config) { c.RetryOnFailure.Enabled = false }

func TestKafkaComesAndGoes(t *testing.T) {
	port, dir := freePort(t), t.TempDir()
	options := []kfake.Opt{kfake.Ports(port), kfake.DataDir(dir)}
	r := start(t, quick([]string{fmt.Sprintf("127.0.0.1:%d", port)}, noRetry))
	periods := instances(3)

	var cluster *kfake.Cluster
	refusals := 0
	outage := func(times int) {
		refusals++
		if times == 3 {
			cluster = kafka(t, 2, options...)
		}
	}
	offer(t, r, periods[0], outage)
	require.GreaterOrEqual(t, refusals, 3)
	require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(periods[1])))
	cluster.Close()
	offer(t, r, periods[2], outage)
	require.GreaterOrEqual(t, refusals, 6)

	ids := map[string]bool{}
	for _, rec := range consume(t, cluster, stored(cluster)) {
		ids[string(rec.Headers[0].Value)] = true
	}
	for _, p := range periods {
		assert.True(t, ids[event.ID(p).String()], "%s is delivered", p.Instance.ID)
	}
	fails, works := publishing+" fails; the next line about it comes when it works again", publishing+" works again"
	assert.Equal(t, []string{fails, works, fails, works}, r.lines(), "one line for a change")
	bad, ok := componentstatus.StatusRecoverableError, componentstatus.StatusOK
	assert.Equal(t, []componentstatus.Status{bad, ok, bad, ok}, r.host.statuses())

	first := r.logs.All()[0].ContextMap()
	assert.Equal(t, []any{fmt.Sprintf("127.0.0.1:%d", port)}, first["brokers"])
	assert.Equal(t, "usage_events", first["topic"])
	assert.Contains(t, first["error"], "connection refused")
	assert.Contains(t, r.logs.All()[1].ContextMap(), "after")
	assert.Contains(t, r.logs.All()[1].ContextMap(), "failures")
}

// While Kafka is away for less than retry_on_failure allows, nobody upstream
// hears of it.
func TestShortOutagesStayInside(t *testing.T) {
	port := freePort(t)
	r := start(t, quick([]string{fmt.Sprintf("127.0.0.1:%d", port)}, nil))
	done := make(chan error, 1)
	go func() { done <- r.ConsumeMetrics(context.Background(), usageOf(instances(2)...)) }()
	require.Eventually(t, func() bool { return len(r.host.statuses()) > 0 }, patience, time.Millisecond)
	cluster := kafka(t, 1, kfake.Ports(port))
	require.NoError(t, <-done)
	assert.Equal(t, 2, stored(cluster))
}

func TestOnlyWhatFailedIsSentAgain(t *testing.T) {
	cluster := kafka(t, 3)
	const refusing = 1
	var mu sync.Mutex
	offered := map[int32]int{} // records, by partition
	cluster.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		mu.Lock()
		defer mu.Unlock()
		for _, topic := range r.(*kmsg.ProduceRequest).Topics {
			for _, p := range topic.Partitions {
				var batch kmsg.RecordBatch
				if batch.ReadFrom(p.Records) == nil {
					offered[p.Partition] += int(batch.NumRecords)
				}
			}
		}
		return nil, nil, false
	})
	// An error that sarama does not try again by itself.
	faults := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Partitions: []int32{refusing}, Err: kerr.PolicyViolation, Count: -1})
	r := start(t, quick(cluster.ListenAddrs(), nil))

	periods := instances(30)
	partitioner := kgo.StickyKeyPartitioner(nil).ForTopic("usage_events")
	share := map[int32]int{}
	for _, p := range periods {
		share[int32(partitioner.Partition(&kgo.Record{Key: []byte(p.Instance.ID)}, 3))]++
	}
	require.Len(t, share, 3)

	done := make(chan error, 1)
	go func() { done <- r.ConsumeMetrics(context.Background(), usageOf(periods...)) }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, faults.Wait(ctx, 3))
	require.Eventually(t, func() bool { return stored(cluster) == 30-share[refusing] }, patience, time.Millisecond,
		"one attempt may make several requests")
	faults.Remove()
	require.NoError(t, <-done)
	require.Equal(t, 30, stored(cluster))

	got := map[string]int{}
	for _, rec := range consume(t, cluster, 30) {
		got[string(rec.Key)]++
	}
	assert.Len(t, got, 30, "each once")
	again := 0
	for partition, n := range share {
		if partition != refusing {
			assert.Equal(t, n, offered[partition], "what was acknowledged is not sent again")
		} else {
			again = offered[partition] - n
			assert.GreaterOrEqual(t, again, 3)
		}
	}
	metadatatest.AssertEqualExporterUsageEventEventsSent(t, r.tel, usageSent(30), ignore...)
	metadatatest.AssertEqualExporterUsageEventEventsFailed(t, r.tel, count(int64(again)), ignore...)
	assert.Len(t, r.lines(), 2)
	assert.Contains(t, r.logs.All()[0].ContextMap()["error"], fmt.Sprintf("Kafka did not acknowledge %d of 30 usage events: ", share[refusing]))
}

func TestAMissingTopicIsNamedWithItsRemedy(t *testing.T) {
	cluster := kafka(t, 1)
	r := start(t, quick(cluster.ListenAddrs(), func(c *Config) { c.Topic = "late"; noRetry(c) }))
	for range 3 { // not hidden by sarama's breaker either
		err := r.ConsumeMetrics(t.Context(), usageOf(instances(5)...))
		require.ErrorContains(t, err, `topic "late" does not exist: create it, or set producer::allow_auto_topic_creation`)
	}
	require.NoError(t, cluster.CreateTopic("late", 1, nil))
	require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(instances(5)...)))
	assert.Len(t, r.lines(), 2)
}

func TestAutoCreation(t *testing.T) {
	cluster := kafka(t, 1, kfake.AllowAutoTopicCreation())
	r := start(t, quick(cluster.ListenAddrs(), func(c *Config) { c.Topic = "new" }))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.Error(t, r.ConsumeMetrics(ctx, usageOf(instances(1)...)))
	assert.Nil(t, cluster.TopicInfo("new"), "off by default")

	r = start(t, quick(cluster.ListenAddrs(), func(c *Config) { c.Topic, c.Producer.AllowAutoTopicCreation = "new", true }))
	require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(instances(1)...)))
	assert.NotNil(t, cluster.TopicInfo("new"))
}

func TestAuthentication(t *testing.T) {
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			cluster := kafka(t, 1, kfake.EnableSASL(), kfake.Superuser(mechanism, "meter", "right-secret"))
			sasl := func(password configopaque.String) func(*Config) {
				return func(c *Config) {
					noRetry(c)
					c.Auth.SASL = configoptional.Some(SASLConfig{Mechanism: mechanism, Username: "meter", Password: password})
				}
			}
			r := start(t, quick(cluster.ListenAddrs(), sasl("right-secret")))
			require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(instances(1)...)))
			require.Equal(t, 1, stored(cluster))

			r = start(t, quick(cluster.ListenAddrs(), sasl("wrong-secret")))
			err := r.ConsumeMetrics(t.Context(), usageOf(instances(1)...))
			require.ErrorContains(t, err, "check that tls and auth::sasl are what this listener wants") // kfake just hangs up
			assert.NotContains(t, err.Error(), "wrong-secret")
			for _, e := range r.logs.All() {
				assert.NotContains(t, fmt.Sprint(e), "wrong-secret")
			}
		})
	}
}

// A real broker says why before it hangs up.
func TestRejectedPassword(t *testing.T) {
	cluster := kafka(t, 1, kfake.EnableSASL(), kfake.Superuser("PLAIN", "meter", "secret"))
	cluster.ControlKey(int16(kmsg.SASLAuthenticate), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		resp := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
		return resp, nil, true
	})
	r := start(t, quick(cluster.ListenAddrs(), func(c *Config) {
		noRetry(c)
		c.Auth.SASL = configoptional.Some(SASLConfig{Mechanism: "PLAIN", Username: "meter", Password: "secret"})
	}))
	err := r.ConsumeMetrics(t.Context(), usageOf(instances(1)...))
	require.ErrorContains(t, err, "the brokers reject auth::sasl: check mechanism, username and password")
}

// certificate returns a self-signed certificate of 127.0.0.1.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestTLS(t *testing.T) {
	cert, ca := certificate(t)
	cluster := kafka(t, 1, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{cert}}))
	with := func(ca string) func(*Config) {
		return func(c *Config) {
			noRetry(c)
			tc := configtls.NewDefaultClientConfig()
			tc.CAPem = configopaque.String(ca)
			c.TLS = configoptional.Some(tc)
		}
	}
	r := start(t, quick(cluster.ListenAddrs(), with(ca)))
	require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(instances(1)...)))
	require.Equal(t, 1, stored(cluster))

	_, other := certificate(t)
	r = start(t, quick(cluster.ListenAddrs(), with(other)))
	require.ErrorContains(t, r.ConsumeMetrics(t.Context(), usageOf(instances(1)...)), "certificate")
}

func TestTLSFilesAreReadAtStart(t *testing.T) {
	c := quick([]string{"127.0.0.1:1"}, func(c *Config) {
		tc := configtls.NewDefaultClientConfig()
		tc.CAFile = "/nowhere/ca.pem"
		c.TLS = configoptional.Some(tc)
	})
	e, err := newExporter(context.Background(), metadatatest.NewSettings(telemetry(t)), c)
	require.NoError(t, err)
	require.ErrorContains(t, e.Start(context.Background(), nil), "tls: ")
	require.NoError(t, e.Shutdown(context.Background()))
}
