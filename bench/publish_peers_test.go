package bench

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/kafkaexporter"
	"github.com/rcrowley/go-metrics"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

// A publisher sends one batch and returns once the broker has acknowledged it.
// It may be called from several goroutines.
type publisher func(context.Context) error

// periods returns the usage of n instances in one period.
func periods(n int) pmetric.Metrics {
	md := pmetric.NewMetrics()
	for i := range n {
		p := usagetest.Host(uint64(i))
		var id uuid.UUID
		binary.BigEndian.PutUint64(id[8:], uint64(i))
		p.Instance.ID, p.Stream.ID = id.String(), id
		usage.AppendPeriod(md.ResourceMetrics(), p)
	}
	return md
}

// sixteenPoints is a part of the same usage, 16 points for each instance: its
// messages in otlp_proto are nearest to the size of ours.
func sixteenPoints(n int) pmetric.Metrics {
	md := periods(n)
	for _, rm := range md.ResourceMetrics().All() {
		points := 0
		rm.ScopeMetrics().At(0).Metrics().RemoveIf(func(m pmetric.Metric) bool {
			if m.Type() != pmetric.MetricTypeSum || points+m.Sum().DataPoints().Len() > 16 {
				return true
			}
			points += m.Sum().DataPoints().Len()
			return false
		})
	}
	return md
}

// pipeline returns an exporter as a collector has it: from its factory, with the
// queue that it has by default, of which the caller awaits the result, and with
// metrics of itself.
func pipeline(b *testing.B, f exporter.Factory, conf map[string]any) exporter.Metrics {
	cfg := f.CreateDefaultConfig()
	if err := confmap.NewFromStringMap(conf).Unmarshal(&cfg); err != nil {
		b.Fatal(err)
	}
	if v, ok := cfg.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			b.Fatal(err)
		}
	}
	set := exportertest.NewNopSettings(f.Type())
	set.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	e, err := f.CreateMetrics(b.Context(), set, cfg)
	if err != nil {
		b.Fatal(err)
	}
	if err := e.Start(b.Context(), componenttest.NewNopHost()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := e.Shutdown(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return e
}

func usageEvent(b *testing.B, addr, to, version, mode string) exporter.Metrics {
	return pipeline(b, usageeventexporter.NewFactory(), map[string]any{
		"brokers": []any{addr}, "topic": to, "schema_version": version, "cloudevents": mode,
		"producer": map[string]any{"allow_auto_topic_creation": true},
	})
}

// contrib is one message for each resource, keyed by the resource, acknowledged
// by all replicas, as ours are.
func contrib(b *testing.B, addr, to, encoding string) exporter.Metrics {
	return pipeline(b, kafkaexporter.NewFactory(), map[string]any{
		"brokers":  []any{addr},
		"metrics":  map[string]any{"topic": to, "encoding": encoding},
		"producer": map[string]any{"required_acks": "all"},
		"partition_metrics_by_resource_attributes": true,
		"sending_queue": map[string]any{"wait_for_result": true, "block_on_overflow": true},
	})
}

// bare is sarama's SyncProducer as ours is set, without the metrics that it keeps
// of itself, which ours does not keep either.
func bare(b *testing.B, addr string) sarama.SyncProducer {
	c := sarama.NewConfig()
	c.Version = sarama.V2_1_0_0
	c.Net.MaxOpenRequests = 1
	c.Producer.Idempotent = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Return.Successes = true
	c.Producer.Partitioner = sarama.NewMurmur2Partitioner
	metrics.UseNilMetrics = true
	p, err := sarama.NewSyncProducer([]string{addr}, c)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = p.Close() })
	return p
}

// record returns the records that e makes of md in a new topic, read back from
// the broker, and the mean of their sizes.
func record(b *testing.B, addr string, e exporter.Metrics, to string, md pmetric.Metrics) (records []*kgo.Record, size int) {
	if err := e.ConsumeMetrics(b.Context(), md); err != nil {
		b.Fatal(err)
	}
	reader, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics(to), kgo.DisableClientMetrics())
	if err != nil {
		b.Fatal(err)
	}
	defer reader.Close()
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	for n := md.ResourceMetrics().Len(); len(records) < n; {
		f := reader.PollFetches(ctx)
		if err := f.Err(); err != nil {
			b.Fatal(err)
		}
		records = append(records, f.Records()...)
	}
	for _, r := range records {
		size += len(r.Key) + len(r.Value)
		for _, h := range r.Headers {
			size += len(h.Key) + len(h.Value)
		}
	}
	return records, size / len(records)
}
