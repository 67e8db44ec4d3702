package thresholdprocessor

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

func cpuHigh(t testing.TB, more string) *Config {
	t.Helper()
	cfg, err := parseConfig(t, "rules: [{id: cpu-high, resource: cpu, type: percentage, warning: 80, keep_firing_for: 5s}]\n"+more)
	require.NoError(t, err)
	return cfg
}

func cpu(t testing.TB, value string) pmetric.Metrics {
	t.Helper()
	return parseBatch(t, []string{"resource vm-1", "vm.cpu.utilization 1 " + value}, time.Now())
}

// A processor that ends waits for what it hands on at that instant, and hands on
// nothing more, though another of the same configuration goes on.
func TestShutdownWaitsForTheTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended, entered atomic.Bool
		late := func(ctx context.Context, md pmetric.Metrics) error {
			if violations(md) == 0 {
				return nil
			}
			assert.False(t, ended.Load(), "what stands behind it may be gone")
			entered.Store(true)
			<-ctx.Done() // as one that waits for Kafka
			time.Sleep(time.Second)
			assert.False(t, ended.Load())
			return ctx.Err()
		}
		var other sink
		d := deploy(t, cpuHigh(t, ""), "", nil, late, other.consume)
		require.NoError(t, d.processors[1].ConsumeMetrics(t.Context(), cpu(t, "0.9")))
		time.Sleep(time.Second)
		require.NoError(t, d.processors[1].ConsumeMetrics(t.Context(), cpu(t, "0.1")))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.True(t, entered.Load(), "the tick went the way of the first")
		require.NoError(t, d.processors[0].Shutdown(t.Context()))
		ended.Store(true)
		require.ErrorIs(t, d.processors[0].ConsumeMetrics(t.Context(), cpu(t, "0.9")), errEnded)

		before := len(other.all())
		time.Sleep(tickInterval)
		synctest.Wait()
		require.Len(t, other.all(), before+1, "now the other one says it")
		d.processors = d.processors[1:]
		d.stop(t)
	})
}

func violations(md pmetric.Metrics) (n int) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Name() == "vm.threshold.violation" {
					n += m.Gauge().DataPoints().Len()
				}
			}
		}
	}
	return n
}

// Shutdown twice, before Start, and of what never started.
func TestShutdownAtAnyTime(t *testing.T) {
	var s sink
	d := create(t, cpuHigh(t, "storage: file_storage"), "", nil, s.consume, s.consume)
	require.ErrorContains(t, d.processors[0].Start(t.Context(), d.host), `storage is "file_storage": there is no such extension; name one that is listed in service::extensions`)
	require.ErrorContains(t, d.processors[1].Start(t.Context(), d.host), `storage is "file_storage"`, "it is the same for both")
	require.NoError(t, d.processors[0].Shutdown(t.Context()))
	require.NoError(t, d.processors[0].Shutdown(t.Context()))
	d.stop(t)

	never := create(t, cpuHigh(t, ""), "", nil, s.consume)
	never.stop(t)
}

func TestWhatIsNamedMustBeThere(t *testing.T) {
	var s sink
	for more, want := range map[string]string{
		"storage: nope":          `storage is "nope": there is no such extension`,
		"storage: not_a_storage": `storage is "not_a_storage": that extension stores nothing; name one such as file_storage`,
		"api: nope":              `api is "nope": there is no such extension`,
		"api: not_a_storage":     `api is "not_a_storage": that extension has no rules; name one such as usage_api`,
		"sources: {http: {endpoint: 'http://x', auth: {authenticator: nope}}}": `sources::http`,
	} {
		dir := t.TempDir()
		d := create(t, cpuHigh(t, more), dir, map[component.ID]component.Component{component.MustNewID("not_a_storage"): &struct{ component.Component }{}}, s.consume)
		require.ErrorContains(t, d.processors[0].Start(t.Context(), d.host), want, more)
		d.stop(t) // which closes what was opened before it failed
	}
}

// A library that does not answer holds up no metering.
func TestASilentAPIHoldsUpNoStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mute := &muteAPI{release: make(chan struct{})}
		var s sink
		began := time.Now()
		d := deploy(t, cpuHigh(t, "api: usage_api"), "", map[component.ID]component.Component{component.MustNewID("usage_api"): mute}, s.consume)
		assert.Equal(t, startPatience, time.Since(began))
		assert.Equal(t, 1, d.logs.FilterMessage("the collector starts before rules are known").Len())
		require.NoError(t, d.processors[0].ConsumeMetrics(t.Context(), cpu(t, "0.9")))
		assert.Equal(t, 1, violations(s.all()[0]), "rules that are known are in force")
		close(mute.release)
		d.stop(t)
	})
}

type muteAPI struct {
	component.Component
	release chan struct{}
}

func (m *muteAPI) ThresholdRules() ([]*threshold.Rule, <-chan struct{}) {
	<-m.release
	return nil, nil
}

// Many goroutines, two pipelines, rules that change: for the race detector.
func TestManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	a := &api{Store: newStore()}
	var s sink
	d := deploy(t, cpuHigh(t, "storage: file_storage\napi: usage_api"), dir, map[component.ID]component.Component{component.MustNewID("usage_api"): a}, s.consume, s.consume)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := range 50 {
				value := "0.9"
				if n%3 == 0 {
					value = "0.1"
				}
				assert.NoError(t, d.processors[i%2].ConsumeMetrics(context.Background(), cpu(t, value)))
			}
		})
	}
	all.Go(func() {
		for n := range 20 {
			rules, err := threshold.Parse([]byte("rules: [{id: other, resource: cpu, type: percentage, warning: "+string(rune('1'+n%9))+"}]"), threshold.Options{Source: threshold.API})
			if err != nil {
				t.Error(err)
				return
			}
			put(t, a, rules[0])
		}
	})
	all.Go(func() {
		for range 20 {
			renderTelemetry(t, d.telemetry)
			d.processors[0].(*thresholds).core.tick(context.Background(), time.Now())
		}
	})
	all.Wait()
	d.stop(t)
}

// A storage that fails refuses no usage. What could not be written is written
// when it works again.
func TestStorageThatFailsRefusesNothing(t *testing.T) {
	dir := t.TempDir()
	var s sink
	real, end := fileStorage(t, dir)
	broken := &brokenStorage{Component: real}
	d := deploy(t, cpuHigh(t, "storage: broken"), "", map[component.ID]component.Component{component.MustNewID("broken"): broken}, s.consume)
	broken.fails.Store(true)
	require.NoError(t, d.processors[0].ConsumeMetrics(t.Context(), cpu(t, "0.9")))
	assert.Equal(t, 1, violations(s.all()[0]))
	last := d.host.status()[len(d.host.status())-1]
	assert.Equal(t, componentstatus.StatusRecoverableError, last.Status())
	require.ErrorContains(t, last.Err(), "storage: no space left")
	assert.Contains(t, renderTelemetry(t, d.telemetry), "storage_failures{} 2\n", "before it is handed on, and after")
	assert.Equal(t, 1, d.logs.FilterMessageSnippet("storage fails").Len())

	broken.fails.Store(false)
	require.NoError(t, d.processors[0].ConsumeMetrics(t.Context(), cpu(t, "0.91")))
	last = d.host.status()[len(d.host.status())-1]
	assert.Equal(t, componentstatus.StatusOK, last.Status())
	d.stop(t)
	end()

	again := deploy(t, cpuHigh(t, "storage: file_storage"), dir, nil, s.consume)
	require.NoError(t, again.processors[0].ConsumeMetrics(t.Context(), cpu(t, "0.9")))
	assert.Zero(t, violations(s.all()[2]), "it was written")
	again.stop(t)
}

// A storage that cannot be opened or read ends the start: nothing is announced
// by who does not know what was.
func TestStorageThatCannotBeReadEndsTheStart(t *testing.T) {
	var s sink
	real, end := fileStorage(t, t.TempDir())
	defer end()
	for _, c := range []struct {
		name string
		set  func(*brokenStorage)
		want string
	}{
		{"opened", func(b *brokenStorage) { b.noClient = true }, `storage "broken" cannot be opened: locked`},
		{"read", func(b *brokenStorage) { b.fails.Store(true) }, `storage "broken": no space left`},
	} {
		broken := &brokenStorage{Component: real}
		c.set(broken)
		d := create(t, cpuHigh(t, "storage: broken"), "", map[component.ID]component.Component{component.MustNewID("broken"): broken}, s.consume)
		require.EqualError(t, d.processors[0].Start(t.Context(), d.host), c.want, c.name)
		d.stop(t)
	}
}

var errNoSpace = errors.New("no space left")

// What is damaged is set aside and named, what a newer version wrote is refused.
func TestStoredValues(t *testing.T) {
	dir := t.TempDir()
	var s sink
	d := deploy(t, cpuHigh(t, "storage: file_storage"), dir, nil, s.consume)
	require.NoError(t, d.processors[0].ConsumeMetrics(t.Context(), cpu(t, "0.9")))
	d.stop(t)
	key, good := storedValue(t, dir)
	for _, c := range []struct {
		name string
		make func() []byte
		err  string
	}{
		{"flipped", func() []byte { b := clone(good); b[len(b)/2] ^= 1; return b }, ""},
		{"cut off", func() []byte { return good[:len(good)-3] }, ""},
		{"empty", func() []byte { return []byte{} }, ""},
		{"of something else", func() []byte { return []byte("hello") }, ""},
		{"newer", func() []byte { return newer(good) }, "it was written by a newer version: its format is 99"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			storeValue(t, dir, key, c.make())
			var s sink
			d := create(t, cpuHigh(t, "storage: file_storage"), dir, nil, s.consume)
			err := d.processors[0].Start(t.Context(), d.host)
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				require.ErrorContains(t, err, "start that version again, or give the processor another storage")
				d.stop(t)
				assert.Equal(t, c.make(), load(t, dir, key), "it is as it was")
				return
			}
			require.NoError(t, err)
			assert.Equal(t, 1, d.logs.FilterField(zapKey(key)).Len())
			require.NoError(t, d.processors[0].ConsumeMetrics(t.Context(), cpu(t, "0.9")))
			assert.Equal(t, 1, violations(s.all()[0]), "it begins anew")
			d.stop(t)
			assert.Equal(t, c.make(), load(t, dir, corruptPrefix+key))
			_, again := storedValue(t, dir)
			assert.NotEmpty(t, again)
		})
	}
	require.DirExists(t, dir)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1)
}
