package alerts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
	"github.com/vmusage/otelcol-vmusage/internal/event"
)

func TestEpisodes(t *testing.T) {
	type step struct {
		wait   time.Duration // before it
		active bool
	}
	const s = time.Second
	for _, tt := range []struct {
		name  string
		hold  time.Duration // For
		steps []step
		wait  time.Duration // after the last
		want  []string
	}{
		{"it begins at once", 0, []step{{0, true}}, 0, []string{"firing 0"}},
		{"it is said again and again", 0, []step{{0, true}, {s, true}, {60 * s, true}}, 60 * s, []string{"firing 0"}},
		{"it is right already", 0, []step{{0, false}}, 60 * s, nil},
		{"it is right for almost long enough", 0, []step{{0, true}, {s, false}}, 30*s - 1, []string{"firing 0"}},
		{"it is right for long enough", 0, []step{{0, true}, {s, false}}, 30 * s, []string{"firing 0", "resolved 1 cleared"}},
		{"it is over at once, and was there", 0, []step{{0, true}, {0, false}}, 30 * s, []string{"firing 0", "resolved 0 cleared"}},
		{"it flaps", 0, []step{{0, true}, {s, false}, {29 * s, true}, {s, false}, {29 * s, true}, {s, false}}, 30 * s, []string{"firing 0", "resolved 61 cleared"}},
		{"it is said to be right again and again", 0, []step{{0, true}, {s, false}, {20 * s, false}}, 10 * s, []string{"firing 0", "resolved 1 cleared"}},
		{"it comes back", 0, []step{{0, true}, {s, false}, {30 * s, true}, {s, false}}, 30 * s, []string{
			"firing 0", "resolved 1 cleared", "firing 31", "resolved 32 cleared",
		}},
		{"it is wrong for almost long enough", 10 * s, []step{{0, true}}, 10*s - 1, nil},
		{"it is wrong for long enough", 10 * s, []step{{0, true}}, 10 * s, []string{"firing 0"}},
		{"it was never wrong for long enough", 10 * s, []step{{0, true}, {9 * s, false}, {s, true}, {9 * s, false}}, 60 * s, nil},
		{"it is wrong for long enough, and then right", 10 * s, []step{{5 * s, true}, {10 * s, false}}, 60 * s, []string{"firing 5", "resolved 15 cleared"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, began := newWorld(t), time.Now()
				a, stop := w.start(func(s *Settings) { s.For = tt.hold })
				for _, step := range tt.steps {
					time.Sleep(step.wait)
					synctest.Wait()
					a.Set(condition(step.active))
				}
				time.Sleep(tt.wait)
				synctest.Wait()
				var want []string
				for _, s := range tt.want {
					want = append(want, "breaker_open usage_event/2 "+s)
				}
				episodes := map[uuid.UUID]int{}
				for _, a := range w.told {
					episodes[a.Episode]++
					assert.NotEqual(t, a.Episode, a.Alert.ID)
				}
				assert.Len(t, episodes, (len(want)+1)/2)
				assert.Equal(t, want, w.said(began))
				stop()
				assert.Empty(t, w.told, "the end of the process is no end of an alert")
			})
		})
	}
}

// What happens in an instant lasts for a while after it happened last.
func TestWhatLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, began := newWorld(t), time.Now()
		a, stop := w.start()
		defer stop()
		c := Condition{Name: DeliveriesDropped, Source: "hook-1", Active: true, Lasts: time.Minute}
		a.Set(c)
		time.Sleep(59 * time.Second)
		a.Set(c)
		time.Sleep(time.Minute + 30*time.Second - time.Nanosecond)
		synctest.Wait()
		assert.Equal(t, []string{"deliveries_dropped hook-1 firing 0"}, w.said(began))
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		assert.Equal(t, []string{"deliveries_dropped hook-1 resolved 119 cleared"}, w.said(began))

		a.Set(c)
		time.Sleep(time.Minute + time.Second)
		a.Set(c) // within Clear
		time.Sleep(time.Second)
		c.Lasts = 0
		a.Set(c)
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Equal(t, []string{"deliveries_dropped hook-1 firing 149"}, w.said(began), "now it lasts until it is said to be over")
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, stop := w.start(func(s *Settings) { s.For = time.Hour })
		defer stop()
		a.Set(Condition{Name: DeliveriesDropped, Source: "hook-1", Active: true, Lasts: time.Minute})
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		assert.Empty(t, w.told, "it did not last for long enough")
		assert.Empty(t, a.open)
	})
}

func TestSourcesAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, began := newWorld(t), time.Now()
		a, stop := w.start()
		defer stop()
		owner := webhook.Owner{UserID: "user-42"}
		a.Set(Condition{Name: EndpointDisabled, Source: "hook-1", Active: true, Owner: owner, Details: []event.Detail{{Key: "url", Text: "https://example.com/"}}})
		a.Set(Condition{Name: EndpointDisabled, Source: "hook-2", Active: true})
		a.Set(Condition{Name: DeliveriesDropped, Source: "hook-1", Active: true, Details: []event.Detail{{Key: "deliveries", Number: 3, Numeric: true}}})
		synctest.Wait()
		require.Len(t, w.told, 3)
		assert.Equal(t, owner, w.told[0].Owner)
		assert.Equal(t, webhook.Owner{}, w.told[1].Owner)
		assert.Equal(t, []string{"endpoint_disabled hook-1 firing 0", "endpoint_disabled hook-2 firing 0", "deliveries_dropped hook-1 firing 0"}, w.said(began))
		open := a.Open()
		require.Len(t, open, 3)
		assert.Equal(t, Open{DeliveriesDropped, "hook-1", began.Add(2).UTC(), []event.Detail{{Key: "deliveries", Number: 3, Numeric: true}}}, open[0])

		a.Set(Condition{Name: EndpointDisabled, Source: "hook-1", Owner: owner})
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, w.told, 1)
		assert.Equal(t, owner, w.told[0].Owner)
		assert.Equal(t, []event.Detail{{Key: "url", Text: "https://example.com/"}}, w.told[0].Details, "what was known last")
		assert.Equal(t, []string{"endpoint_disabled hook-1 resolved 0 cleared"}, w.said(began))
		assert.Len(t, a.Open(), 2)
	})
}

func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, stop := w.start(func(s *Settings) { s.Max = 2 })
		defer stop()
		var details []event.Detail
		for i := range 100 {
			details = append(details, event.Detail{Key: strings.Repeat("k", 100) + fmt.Sprint(i), Text: strings.Repeat("é", 1000)})
		}
		long := strings.Repeat("s", 1000)
		for _, source := range []string{long, "b", "c", "d", "b"} {
			a.Set(Condition{Name: SourceFailing, Source: source, Active: true, Details: details})
		}
		a.Set(Condition{Name: "No Name", Source: "b", Active: true})
		synctest.Wait()
		assert.Equal(t, uint64(3), a.Dropped())
		require.Len(t, w.told, 2)
		assert.Equal(t, long[:maxText], w.told[0].Source)
		assert.Len(t, w.told[1].Details, maxDetails)
		assert.Less(t, len(w.told[1].body), 8<<10)

		a.Set(Condition{Name: SourceFailing, Source: "b"})
		time.Sleep(time.Minute)
		a.Set(Condition{Name: SourceFailing, Source: "c", Active: true})
		synctest.Wait()
		assert.Len(t, w.told, 4, "there is room again")
		assert.Equal(t, uint64(3), a.Dropped())
	})
}

func TestBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, stop := w.start()
		c := Condition{Name: DeadLetters, Source: "usage_event/2", Active: true, Details: []event.Detail{{Key: "events", Number: 12, Numeric: true}}}
		a.Set(c)
		time.Sleep(time.Second)
		c.Active = false
		a.Set(c)
		time.Sleep(time.Minute)
		synctest.Wait()
		stop()
		require.Len(t, w.told, 2)
		for i, o := range w.told {
			name := fmt.Sprintf("testdata/pipeline_alert-%s.json", []string{"firing", "resolved"}[i])
			var got bytes.Buffer
			require.NoError(t, json.Indent(&got, []byte(o.body), "", "  "))
			got.WriteByte('\n')
			if *update {
				require.NoError(t, os.WriteFile(name, got.Bytes(), 0o600))
			}
			want, err := os.ReadFile(name)
			require.NoError(t, err)
			assert.Equal(t, string(want), got.String())
			doc, err := jsonschema.UnmarshalJSON(strings.NewReader(o.body))
			require.NoError(t, err)
			assert.NoError(t, schema(t).Validate(doc.(map[string]any)["data"]))
		}
		namespace := uuid.NewSHA1(uuid.NameSpaceURL, []byte("urn:vmusage:event:pipeline_alert"))
		episode := uuid.NewSHA1(namespace, []byte("0c52f4b8d3a14b0e9b2f6f7a1c9d8e70\nrack4-node7\nusage_event/2\ndead_letters\n946684800000000000"))
		assert.Equal(t, episode, w.told[0].Episode)
		assert.Equal(t, uuid.NewSHA1(episode, []byte("firing")), w.told[0].Alert.ID)
	})
}

func schema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(event.AlertSchema())))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("schema", doc))
	s, err := c.Compile("schema")
	require.NoError(t, err)
	return s
}

func TestConcurrently(t *testing.T) {
	w := newWorld(t)
	a, stop := w.start(func(s *Settings) { s.Clear = 0 })
	var setting sync.WaitGroup
	for i := range 4 {
		setting.Go(func() {
			for n := range 200 {
				a.Set(Condition{Name: BreakerOpen, Source: fmt.Sprint(i % 2), Active: n%2 == 0, Details: []event.Detail{{Key: "n", Text: "x"}}})
				a.Open()
				a.Dropped()
			}
			a.Set(Condition{Name: BreakerOpen, Source: fmt.Sprint(i % 2)})
		})
	}
	setting.Wait()
	stop()
	open := map[uuid.UUID]int{}
	for _, o := range w.told {
		if o.State == event.AlertFiring {
			open[o.Episode]++
		} else {
			open[o.Episode]--
		}
	}
	for id, n := range open {
		assert.Zero(t, n, id)
	}
}

// FuzzRestore: no input panics; what is taken is told as valid events, and kept as something that
