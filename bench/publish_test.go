package bench

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"golang.org/x/sys/unix"
)

const (
	publishRounds = 4
	publishRound  = 100 * time.Millisecond // at least
)

// publishCallers is how many goroutines hand over batches of a size at once: as
// the collector's receivers do, and fewer where a batch is large.
var publishCallers = map[int]int{1: 10, 10: 10, 100: 10, 1000: 4, 10_000: 2}

// A contestant publishes. caller makes what one goroutine calls to send a batch.
type contestant struct {
	name   string
	size   int // bytes of a record: key, value and headers
	beside int // the index of the bare producer with the same records, -1: none
	caller func() publisher
}

// A score is the best of some rounds.
type score struct{ wall, cpu time.Duration } // of one event

// BenchmarkPublish is events from pmetric to the acknowledgement of a broker in
// another process: usage_event; sarama's SyncProducer with the same settings and
// ready messages of the same bytes; and contrib's kafkaexporter with a message
// for each resource. cpu is the time of all threads of this process. All take
// turns, and the best of their rounds counts: other work on the machine only
// ever adds.
func BenchmarkPublish(b *testing.B) {
	addr := startBroker(b)
	for _, n := range []int{1, 10, 100, 1000, 10_000} {
		b.Run(fmt.Sprintf("batch=%d", n), func(b *testing.B) {
			contestants := contest(b, addr, n)
			best := compete(b, contestants, n)
			for i := range contestants {
				b.Run(contestants[i].name, func(b *testing.B) { report(b, contestants, best, i) })
			}
		})
	}
}

// compete has the contestants take turns.
func compete(b *testing.B, contestants []contestant, n int) []score {
	best := make([]score, len(contestants))
	for round := range publishRounds + 1 {
		for i := range contestants {
			s := publish(b, contestants[i].caller, n)
			switch round {
			case 0: // connects, and fills pools
			case 1:
				best[i] = s
			default:
				best[i] = score{min(best[i].wall, s.wall), min(best[i].cpu, s.cpu)}
			}
		}
	}
	return best
}

func report(b *testing.B, contestants []contestant, best []score, i int) {
	c, s := &contestants[i], best[i]
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(c.size), "B/event")
	b.ReportMetric(float64(time.Second)/float64(s.wall), "events/s")
	b.ReportMetric(float64(time.Second)/float64(s.cpu), "events/cpu-s")
	b.ReportMetric(float64(s.wall), "ns/event")
	b.ReportMetric(float64(s.cpu), "cpu-ns/event")
	if c.beside >= 0 {
		b.ReportMetric(100*float64(best[c.beside].cpu)/float64(s.cpu), "%sarama-cpu")
		b.ReportMetric(100*float64(best[c.beside].wall)/float64(s.wall), "%sarama")
	}
}

// publish has callers send batches of n for a round.
func publish(b *testing.B, caller func() publisher, n int) score {
	var (
		wg     sync.WaitGroup
		events atomic.Int64
		send   = make([]publisher, publishCallers[n])
	)
	for i := range send {
		send[i] = caller()
	}
	start, cpu := time.Now(), cpuUsed(b)
	for _, send := range send {
		wg.Go(func() {
			for time.Since(start) < publishRound {
				if err := send(b.Context()); err != nil {
					b.Error(err)
					return
				}
				events.Add(int64(n))
			}
		})
	}
	wg.Wait()
	if b.Failed() {
		b.FailNow()
	}
	return score{wall: time.Since(start) / time.Duration(events.Load()), cpu: (cpuUsed(b) - cpu) / time.Duration(events.Load())}
}

// contest returns who takes part with batches of n.
func contest(b *testing.B, addr string, n int) []contestant {
	const to = "usage_events"
	whole, part := periods(n), sixteenPoints(n)
	through := func(e exporter.Metrics, md pmetric.Metrics) func() publisher {
		return func() publisher {
			return func(ctx context.Context) error { return e.ConsumeMetrics(ctx, md) }
		}
	}
	var out []contestant
	for _, version := range []string{"1.0", "1.1"} {
		for _, mode := range []string{"binary", "none"} {
			name := version + "-" + mode
			records, size := record(b, addr, usageEvent(b, addr, recorded(name, n), version, mode), recorded(name, n), whole)
			p := bare(b, addr)
			out = append(out,
				contestant{"usage_event-" + name, size, len(out) + 1, through(usageEvent(b, addr, to, version, mode), whole)},
				contestant{"sarama-" + name, size, -1, func() publisher {
					messages := prepared(records, to)
					return func(context.Context) error { return p.SendMessages(messages) }
				}},
			)
		}
	}
	for _, encoding := range []string{"otlp_proto", "otlp_json"} {
		for _, in := range []struct {
			points string
			md     pmetric.Metrics
		}{{"all", whole}, {"16", part}} {
			name := encoding + "-points=" + in.points
			_, size := record(b, addr, contrib(b, addr, recorded(name, n), encoding), recorded(name, n), in.md)
			out = append(out, contestant{"kafkaexporter-" + name, size, -1, through(contrib(b, addr, to, encoding), in.md)})
		}
	}
	return out
}

// recorded is the topic for the records of who has that name.
func recorded(name string, n int) string {
	return fmt.Sprintf("recorded-%s-%d", strings.ReplaceAll(name, "=", "-"), n)
}

// prepared returns messages with what the records have.
func prepared(records []*kgo.Record, to string) []*sarama.ProducerMessage {
	out := make([]*sarama.ProducerMessage, len(records))
	for i, r := range records {
		m := &sarama.ProducerMessage{
			Topic: to, Timestamp: r.Timestamp,
			Key: sarama.ByteEncoder(r.Key), Value: sarama.ByteEncoder(r.Value),
		}
		for _, h := range r.Headers {
			m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(h.Key), Value: h.Value})
		}
		out[i] = m
	}
	return out
}

// cpuUsed is what all threads of this process took so far.
func cpuUsed(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
