package operations

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
)

// alertNames returns the expressions of the alerts.
func alertNames(t *testing.T) map[string]string {
	t.Helper()
	parsed, err := confmap.NewRetrievedFromYAML([]byte(read(t, "deploy/alerts.yaml")))
	require.NoError(t, err)
	conf, err := parsed.AsConf()
	require.NoError(t, err)
	out := map[string]string{}
	for _, g := range conf.Get("groups").([]any) {
		for _, r := range g.(map[string]any)["rules"].([]any) {
			rule := r.(map[string]any)
			name := rule["alert"].(string)
			require.NotContains(t, out, name, "two alerts have one name")
			out[name] = rule["expr"].(string)
		}
	}
	return out
}

func promtool(t *testing.T, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("SKIPPED: promtool is not installed (Debian: prometheus), so deploy/alerts.yaml is not tested")
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = filepath.Join(repository, "deploy")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "promtool %v\n%s", args, out)
	return string(out)
}

func TestTheAlertsAreWellFormed(t *testing.T) {
	assert.Contains(t, promtool(t, "check", "rules", "alerts.yaml"), "SUCCESS")
}

func TestTheAlertsFireWhenTheyShould(t *testing.T) {
	promtool(t, "test", "rules", "alerts_test.yaml")
}

// Each alert has series at which it fires and series at which it does not.
func TestEveryAlertIsTested(t *testing.T) {
	text := read(t, "deploy/alerts_test.yaml")
	for alert := range alertNames(t) {
		assert.Contains(t, text, "name: "+alert+" fires\n", "deploy/alerts_test.yaml: let %s fire", alert)
		assert.Contains(t, text, "name: "+alert+" does not fire\n", "deploy/alerts_test.yaml: let %s not fire", alert)
	}
}

// Each name in an expression is that of a metric, with optional suffixes.
func TestTheAlertsNameMetrics(t *testing.T) {
	units := emitted(t)
	selector := regexp.MustCompile(`__name__=~"(\w+?)(?:_bucket)?((?:\(_\w+\)\?)*(?:_bucket)?)"`)
	for alert, expr := range alertNames(t) {
		found := selector.FindAllStringSubmatch(expr, -1)
		require.NotEmpty(t, found, alert)
		for _, m := range found {
			assert.Contains(t, units, m[1], "%s: no metadata.yaml has %s", alert, m[1])
		}
	}
}
