package e2e

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/vmusage/otelcol-vmusage/internal/devbroker"
	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

const thresholds = "usage_thresholds"

// otlp returns what sends metrics to a gateway and gives its answer.
func otlp(t *testing.T, addr string) func(pmetric.Metrics) error {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	client := pmetricotlp.NewGRPCClient(conn)
	return func(md pmetric.Metrics) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, err := client.Export(ctx, pmetricotlp.NewExportRequestFromMetrics(md), grpc.WaitForReady(true))
		return err
	}
}

// announcing is usage, levels, states and violations, as a threshold processor
// lets them through.
func announcing() (md pmetric.Metrics, violations []*usage.Violation) {
	md = pmetric.NewMetrics()
	usage.AppendPeriod(md.ResourceMetrics(), usagetest.Host(1))
	ms := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
	usage.AppendThresholdStates(ms, []usage.ThresholdState{{Rule: "cpu-high", Level: usage.LevelWarning, At: time.Now().UnixNano()}})
	firing, resolved, quota := usagetest.Violation(1), usagetest.Violation(2), usagetest.Quota(3)
	resolved.State, resolved.At = usage.Resolved, firing.At+1
	dps := usage.ViolationPoints(ms)
	usage.AppendViolationPoint(dps, firing)
	usage.AppendViolationPoint(dps, resolved)
	usage.AppendViolation(md.ResourceMetrics(), quota)
	return md, []*usage.Violation{firing, resolved, quota}
}

func schema(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("s.json", doc))
	s, err := c.Compile("s.json")
	require.NoError(t, err)
	return s
}

// TestViolationsThroughOTLP: what says that a threshold is violated comes to the
// gateway with the usage, and both are in Kafka, in a topic each, when it says yes.
func TestViolationsThroughOTLP(t *testing.T) {
	binary(t, "otelcol-vmusage")
	b, err := devbroker.Start(t.Context(), devbroker.Options{Topics: []devbroker.Topic{{Name: topic, Partitions: 1}}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	listen := freePort(t)
	g := gateway(t, listen, b.Addr()).set("exporters::usage_event::timeout=10s").start(t) // in less, sarama does not say what is missing
	send := otlp(t, listen)
	md, violations := announcing()

	// Without the topic of violations the answer is no, to be tried again.
	err = send(md)
	assert.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
	g.waitLog(t, `topic \"usage_thresholds\" does not exist: create it`)
	require.NoError(t, b.Cluster().CreateTopic(thresholds, 2, nil))
	require.Eventually(t, func() bool { return send(md) == nil }, patience, 100*time.Millisecond)

	usageSchema, violationSchema := schema(t, event.Schema(event.V1_1)), schema(t, event.ViolationSchema(event.V1_1))
	fits := func(s *jsonschema.Schema, value string) {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(value))
		require.NoError(t, err)
		assert.NoError(t, s.Validate(doc))
	}
	for _, r := range everything(t, b) {
		fits(usageSchema, string(r.Value))
	}
	kcat := func(of string) []string {
		out, err := run(t, "", tool(t, "kcat"), "-b", b.Addr(), "-C", "-t", of, "-e", "-q", "-f", "%k\t%h\t%s\n")
		require.NoError(t, err)
		return strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	}
	want := map[string]*usage.Violation{}
	for _, v := range violations {
		want[v.ID.String()] = v
	}
	for _, line := range kcat(thresholds) {
		key, rest, _ := strings.Cut(line, "\t")
		headers, value, _ := strings.Cut(rest, "\t")
		fits(violationSchema, value)
		e, err := event.DecodeViolation([]byte(value))
		require.NoError(t, err)
		v := want[e.ID.String()]
		require.NotNil(t, v, "%s", value)
		assert.Equal(t, v, e.Exact)
		assert.Equal(t, v.Subject(), key)
		assert.Contains(t, headers, "event-id="+e.ID.String())
		assert.Contains(t, headers, "ce_type=com.github.vmusage.threshold_violation.v1")
		delete(want, e.ID.String())
	}
	assert.Empty(t, want, "all are there, each once")

	vmusagectl := binary(t, "vmusagectl")
	out, err := run(t, "", vmusagectl, "tail", "--brokers", b.Addr(), "--from-beginning", "--timeout", "1s", "--topic", topic+","+thresholds)
	require.NoError(t, err)
	for _, part := range []string{"cpu     15.230 s", "cpu-high  cpu 87.5 %", "warning resolved", "all of organization org-7  critical", "and 312 more kept back"} {
		assert.Contains(t, out, part)
	}
	out, err = run(t, "", vmusagectl, "verify", "--brokers", b.Addr())
	require.NoError(t, err, out)

	require.Eventually(t, func() bool { return strings.Contains(metrics(g.prometheus), "vm_threshold_state") }, patience, 100*time.Millisecond)
	assert.NotContains(t, metrics(g.prometheus), "vm_threshold_violation")
	assert.Contains(t, metrics(g.self), `otelcol_exporter_usage_event_events_sent{event_type="threshold_violation"`)
	g.stop(t)
}

// TestABadViolationHoldsUpNothing: it is a dead letter that names its topic.
func TestABadViolationHoldsUpNothing(t *testing.T) {
	binary(t, "otelcol-vmusage")
	b := broker(t, "", t.TempDir())
	listen := freePort(t)
	g := gateway(t, listen, b.Addr()).start(t)
	md, _ := announcing()
	ms := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
	ms.At(ms.Len()-1).Gauge().DataPoints().At(0).Attributes().PutInt("threshold.version", 2)
	send := otlp(t, listen)
	require.Eventually(t, func() bool { return send(md) == nil }, patience, 100*time.Millisecond)
	assert.Len(t, everything(t, b), 1)
	out, err := run(t, "", binary(t, "vmusagectl"), "dlq", "show", "0/0", "--brokers", b.Addr())
	require.NoError(t, err)
	assert.Contains(t, out, "violation_version")
	assert.Contains(t, out, thresholds)
	g.stop(t)
}
