package interop

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/cloudevents/sdk-go/protocol/kafka_sarama/v2"
	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/exporter/usageeventexporter"
	"github.com/vmusage/otelcol-vmusage/internal/devbroker"
	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

// patience is how long a test waits for what should come; only a failure takes it.
const patience = 60 * time.Second

func TestTheSDKReadsBothModes(t *testing.T) {
	for _, version := range []event.Version{event.V1_0, event.V1_1} {
		for mode, encoding := range map[string]binding.Encoding{"binary": binding.EncodingBinary, "structured": binding.EncodingStructured} {
			t.Run(mode+" "+version.String(), func(t *testing.T) {
				broker, err := devbroker.Start(t.Context(), devbroker.Options{Topics: devbroker.DefaultTopics()})
				require.NoError(t, err)
				t.Cleanup(func() { assert.NoError(t, broker.Close()) })

				want := map[string]*usage.Period{}
				md := pmetric.NewMetrics()
				for i := range 20 {
					p := usagetest.Host(uint64(i))
					p.Instance.ID = fmt.Sprintf("vm %d/\"ü\"", i)
					p.Stream.HostID = fmt.Sprintf("host %d/ü", i)
					p.End += int64(i)
					want[event.ID(p).String()] = p
					usage.AppendPeriod(md.ResourceMetrics(), p)
				}
				violation := usagetest.Violation(1)
				usage.AppendViolation(md.ResourceMetrics(), violation)
				publish(t, broker.Addr(), mode, version, md)

				for _, got := range receive(t, broker.Addr(), "usage_events", len(want), encoding) {
					p := want[got.ID()]
					require.NotNil(t, p, "each once: %v", got)
					delete(want, got.ID())
					check(t, got, attributes{
						host: p.Stream.HostID, subject: p.Instance.ID, at: p.End,
						kind: "com.example.billing.resource_usage.v1", schema: "urn:vmusage:event:resource_usage:" + version.String(),
					})
					assert.Equal(t, string(event.AppendUsage(nil, version, p)), string(got.Data()))
				}
				for _, got := range receive(t, broker.Addr(), "usage_thresholds", 1, encoding) {
					assert.Equal(t, violation.ID.String(), got.ID())
					check(t, got, attributes{
						host: violation.Instance.HostID, subject: violation.Subject(), at: violation.At,
						kind: "com.example.billing.threshold_violation.v1", schema: "urn:vmusage:event:threshold_violation:" + version.String(),
					})
					assert.Equal(t, string(event.AppendViolation(nil, version, violation)), string(got.Data()))
				}
			})
		}
	}
}

// attributes are what a CloudEvent of the exporter should have.
type attributes struct {
	host, subject, kind, schema string
	at                          int64
}

func check(t *testing.T, got cloudevents.Event, want attributes) {
	t.Helper()
	require.NoError(t, got.Validate())
	assert.Equal(t, "1.0", got.SpecVersion())
	assert.Equal(t, "https://metering.example.com/hosts/"+url.PathEscape(want.host), got.Source())
	assert.Equal(t, want.subject, got.Subject())
	assert.Equal(t, want.kind, got.Type())
	assert.Equal(t, want.schema, got.DataSchema())
	assert.Equal(t, "application/json", got.DataContentType())
	assert.Equal(t, want.at, got.Time().UnixNano())
	for name := range got.Extensions() {
		assert.Contains(t, []string{"kafkaoffset", "kafkapartition", "kafkatopic"}, name, "the SDK's own are all")
	}
}

// publish hands metrics to an exporter, which says yes when Kafka has the events.
func publish(t *testing.T, addr, mode string, version event.Version, md pmetric.Metrics) {
	t.Helper()
	f := usageeventexporter.NewFactory()
	c := f.CreateDefaultConfig().(*usageeventexporter.Config)
	c.Brokers, c.SchemaVersion, c.CloudEvents = []string{addr}, version.String(), mode
	c.Source, c.TypePrefix = "https://metering.example.com/hosts", "com.example.billing"
	require.NoError(t, c.Validate())
	e, err := f.CreateMetrics(t.Context(), exportertest.NewNopSettings(f.Type()), c)
	require.NoError(t, err)
	require.NoError(t, e.Start(t.Context(), componenttest.NewNopHost()))
	require.NoError(t, e.ConsumeMetrics(t.Context(), md))
	require.NoError(t, e.Shutdown(t.Context()))
}

// receive returns n events of a topic as the SDK's Kafka protocol reads them, in a
// consumer group.
func receive(t *testing.T, addr, topic string, n int, encoding binding.Encoding) []cloudevents.Event {
	t.Helper()
	config := sarama.NewConfig()
	config.Version = sarama.V2_1_0_0
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	consumer, err := kafka_sarama.NewConsumer([]string{addr}, config, "sdk", topic)
	require.NoError(t, err)
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()

	var opened sync.WaitGroup
	failed := make(chan error, 1)
	opened.Go(func() { failed <- consumer.OpenInbound(ctx) })
	var events []cloudevents.Event
	for len(events) < n {
		m, err := consumer.Receive(ctx)
		require.NoError(t, err, "%d of %d events came", len(events), n)
		assert.Equal(t, encoding, m.ReadEncoding())
		e, err := binding.ToEvent(ctx, m)
		require.NoError(t, err)
		events = append(events, *e)
		require.NoError(t, m.Finish(nil))
	}
	stop()
	opened.Wait()
	if err := <-failed; err != nil {
		require.ErrorIs(t, err, context.Canceled)
	}
	return events
}
