package operations

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
)

const repository = "../.."

// emitted returns the units of the self-telemetry of all components, by the name
// that the collector exports it under.
func emitted(t *testing.T) map[string]string {
	t.Helper()
	units := map[string]string{}
	for _, dir := range []string{"receiver", "processor", "exporter", "connector", "extension"} {
		root := filepath.Join(repository, dir)
		if _, err := os.Stat(root); err != nil {
			continue
		}
		require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.Name() != "metadata.yaml" {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			parsed, err := confmap.NewRetrievedFromYAML(data)
			if err != nil {
				return err
			}
			conf, err := parsed.AsConf()
			if err != nil {
				return err
			}
			metrics, _ := conf.Get("telemetry::metrics").(map[string]any)
			for name, m := range metrics {
				unit, _ := m.(map[string]any)["unit"].(string)
				units["otelcol_"+name] = unit
			}
			return nil
		}))
	}
	require.NotEmpty(t, units)
	return units
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(repository, path))
	require.NoError(t, err)
	return string(data)
}

// row is one metric of docs/metrics.md: name, unit, meaning, remedy, alerts.
var row = regexp.MustCompile("(?m)^\\| `(otelcol_\\w+)` \\| `([^`]*)` \\| (.+?) \\| (.*?) ?\\| (.*?) ?\\|$")

func TestTheListOfMetricsIsComplete(t *testing.T) {
	units := emitted(t)
	alerts := alertNames(t)
	listed := map[string]bool{}
	for _, r := range row.FindAllStringSubmatch(read(t, "docs/metrics.md"), -1) {
		name, unit := r[1], r[2]
		assert.False(t, listed[name], "docs/metrics.md lists %s twice", name)
		listed[name] = true
		want, exists := units[name]
		if !assert.True(t, exists, "docs/metrics.md lists %s, which no metadata.yaml has: remove its row", name) {
			continue
		}
		assert.Equal(t, want, unit, "docs/metrics.md has another unit of %s than metadata.yaml", name)
		for alert := range strings.SplitSeq(r[5], ", ") {
			if alert != "" {
				assert.Contains(t, alerts[alert], strings.TrimPrefix(name, "otelcol_"), "docs/metrics.md says that %s is in the alert %s of deploy/alerts.yaml", name, alert)
			}
		}
	}
	for name, unit := range units {
		assert.True(t, listed[name], "docs/metrics.md lacks %s: add this row to the table of its component, in order of names\n| `%s` | `%s` | what it counts | what to do when it moves | the alert in deploy/alerts.yaml, if any |", name, name, unit)
	}
}

func TestEveryAlertIsListed(t *testing.T) {
	text := read(t, "docs/metrics.md")
	for alert := range alertNames(t) {
		assert.Regexp(t, alert+`( \||, )`, text, "docs/metrics.md: name the alert %s at its metrics, in the last column", alert)
	}
}
