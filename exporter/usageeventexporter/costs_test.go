package usageeventexporter

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.uber.org/zap"
)

func TestWhatASettingCostsIsSaidAtStart(t *testing.T) {
	const (
		waits, storage, size = "sending_queue::wait_for_result", "sending_queue::storage", "sending_queue::batch::max_size"
		retry, elapsed       = "retry_on_failure::enabled", "retry_on_failure::max_elapsed_time"
		partition, letters   = "partitioner", "dead_letter::topic"
	)
	early := func(c *Config) { c.SendingQueue.Get().WaitForResult = false }
	batches := func(most int64) func(*Config) {
		return func(c *Config) {
			b := exporterhelper.NewDefaultBatchConfig()
			b.MinSize, b.MaxSize = 0, most
			c.SendingQueue.Get().Batch = configoptional.Some(b)
		}
	}
	for name, tt := range map[string]struct {
		change func(*Config)
		want   map[string]any // key: value
	}{
		"default":       {nil, map[string]any{}},
		"no queue":      {func(c *Config) { c.SendingQueue = configoptional.None[exporterhelper.QueueBatchConfig]() }, map[string]any{}},
		"tried always":  {func(c *Config) { c.RetryOnFailure.MaxElapsedTime = 0 }, map[string]any{}},
		"whole batches": {batches(0), map[string]any{}},
		"cut batches":   {batches(9000), map[string]any{size: int64(9000)}},
		"early":         {early, map[string]any{waits: false, elapsed: "20s"}},
		"early, tried always": {
			func(c *Config) { early(c); c.RetryOnFailure.MaxElapsedTime = 0 },
			map[string]any{waits: false},
		},
		"early, tried once": {func(c *Config) { early(c); noRetry(c) }, map[string]any{waits: false, retry: false}},
		"tried once":        {noRetry, map[string]any{retry: false}},
		"on disk": {func(c *Config) {
			early(c)
			c.RetryOnFailure.MaxElapsedTime = 0
			c.SendingQueue.Get().StorageID = new(component.MustNewID("file_storage"))
		}, map[string]any{waits: false, storage: "file_storage"}},
		"round robin":     {func(c *Config) { c.Partitioner = partitionerRoundRobin }, map[string]any{partition: "round_robin"}},
		"no dead letters": {func(c *Config) { c.DeadLetter.Topic = "" }, map[string]any{letters: ""}},
	} {
		t.Run(name, func(t *testing.T) {
			c := defaults(tt.change)
			got := map[string]any{}
			for _, w := range c.costs() {
				got[w.key] = w.value
				assert.NotEmpty(t, w.consequence)
				assert.NotEmpty(t, w.remedy)
			}
			assert.Equal(t, tt.want, got)
			if c.SendingQueue.HasValue() && c.SendingQueue.Get().StorageID != nil {
				return // it would need the extension
			}
			said := start(t, c).said
			require.Len(t, said, len(tt.want))
			for _, line := range said {
				assert.Equal(t, zap.WarnLevel, line.Level)
				f := line.ContextMap()
				assert.Equal(t, tt.want[f["key"].(string)], f["value"])
				assert.NotEmpty(t, f["remedy"])
			}
		})
	}
}
