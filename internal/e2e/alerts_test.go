package e2e

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTheAlertsLookAtWhatThereIs scrapes the real binary, by both ways in which
// names are written, after all has happened that deploy/alerts.yaml is about.
func TestTheAlertsLookAtWhatThereIs(t *testing.T) {
	binary(t, "otelcol-vmusage")
	rules, err := os.ReadFile(filepath.Join(repository, "deploy/alerts.yaml"))
	require.NoError(t, err)
	wanted := map[string]*regexp.Regexp{}
	for _, m := range regexp.MustCompile(`__name__=~"([^"]+)"`).FindAllStringSubmatch(string(rules), -1) {
		wanted[m[1]] = regexp.MustCompile(`(?m)^(?:` + m[1] + `)[{ ]`)
	}
	require.Greater(t, len(wanted), 10)

	kafka, otlp, suffixed := freePort(t), freePort(t), freePort(t)
	_, port, _ := net.SplitHostPort(suffixed)
	c := install(t, "testdata/alerts.yaml", "KAFKA_BROKER="+kafka, "OTLP="+otlp, "SUFFIXED_METRICS_PORT="+port).start(t)
	c.hook(t, newEndpoint(t).URL, "--events", "resource_usage")
	c.waitLog(t, "the circuit breaker to Kafka is open")
	b := broker(t, kafka, "")
	consume(t, b.Addr()).take(t, atLeast(1))

	const torn = `{"resourceMetrics":[{"resource":{},"scopeMetrics":[{"metrics":[{"name":"vm.usage.running","unit":"us","sum":
		{"aggregationTemporality":1,"dataPoints":[{"asInt":"1","startTimeUnixNano":"1","timeUnixNano":"2"}]}}]}]}]}`
	require.Eventually(t, func() bool { // as one sends over OTLP: until it is taken
		res, err := http.Post("http://"+otlp+"/v1/metrics", "application/json", strings.NewReader(torn))
		return err == nil && res.Body.Close() == nil && res.StatusCode == http.StatusOK
	}, patience, 100*time.Millisecond, "it is in the dead letters, and refused without them")

	for name, endpoint := range map[string]string{"without suffixes": c.self, "with suffixes": suffixed} {
		t.Run(name, func(t *testing.T) {
			var missing []string
			for deadline := time.Now().Add(patience / 3); ; time.Sleep(100 * time.Millisecond) {
				scrape := metrics(endpoint)
				missing = nil
				for expr, re := range wanted {
					if !re.MatchString(scrape) {
						missing = append(missing, expr)
					}
				}
				if len(missing) == 0 || time.Now().After(deadline) {
					break
				}
			}
			assert.Empty(t, missing, "deploy/alerts.yaml looks at what is not there")
		})
	}
	assert.NotContains(t, metrics(c.self), "outbox_oldest_age_seconds")
	assert.Contains(t, metrics(suffixed), "outbox_oldest_age_seconds")
	c.stop(t)
}
