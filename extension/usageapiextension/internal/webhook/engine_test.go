package webhook

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/outbound"
	"github.com/vmusage/otelcol-vmusage/internal/signing"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

func TestDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		e := open(t, settings(w, newDisk()))
		defer e.close()
		assert.False(t, e.Wants(ResourceUsage))
		assert.Equal(t, Unwanted, e.offerUsage(1, 1))
		e.hook("a", root)
		e.hook("b", alex)
		e.hook("c", Owner{UserID: "bo"})
		e.hook("d", Owner{OrgID: "o"})
		e.hook("e", root, ThresholdViolation)
		assert.True(t, e.Wants(ResourceUsage))
		assert.Equal(t, Accepted, e.offerUsage(1, 2))
		assert.Equal(t, Repeated, e.offerUsage(1, 2))
		assert.Equal(t, Repeated, e.offerUsage(1, 1))
		assert.Equal(t, Accepted, e.offerUsage(1, 3))
		synctest.Wait()
		want := []string{uuid.UUID{1, 2, 15: 1}.String(), uuid.UUID{1, 3, 15: 1}.String()}
		for _, url := range []string{"a", "b", "d"} {
			assert.ElementsMatch(t, want, w.got(url), url)
		}
		assert.Empty(t, w.got("c"))
		assert.Empty(t, w.got("e"))
		assert.Equal(t, 2, e.w.of("repeated resource_usage"))
		assert.Zero(t, e.Stats().Pending)
	})
}

// What a request says can be verified, by each secret that is valid.
func TestRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := settings(w, newDisk())
		var got outbound.Request
		s.Send = func(ctx context.Context, r outbound.Request) outbound.Outcome {
			got = r
			return w.send(ctx, r)
		}
		e := open(t, s)
		defer e.close()
		v := e.hook("a", root)
		first := v.Secrets[0].Key
		second, err := signing.NewSecret()
		require.NoError(t, err)
		_, err = e.Update(t.Context(), v.ID, 0, func(h *Hook) error {
			h.Rotate(second, time.Now().Add(time.Hour))
			return nil
		})
		require.NoError(t, err)
		ev, mark := usageOf(1, 1)
		e.offer(ev, mark)
		synctest.Wait()
		at := time.Now()
		assert.Equal(t, []string{"application/json"}, got.Header["Content-Type"])
		assert.Equal(t, []string{"resource_usage"}, got.Header["X-Webhook-Event"])
		assert.Equal(t, []string{ev.ID.String()}, got.Header["Webhook-Id"])
		sign := func(keys ...signing.Secret) []string {
			return []string{string(signing.Sign(nil, keys, ev.ID.String(), at, got.Body))}
		}
		assert.Equal(t, sign(second, first), got.Header["Webhook-Signature"])
		assert.Equal(t, []string{signing.Legacy(second, got.Body)}, got.Header["X-Webhook-Signature"])
		time.Sleep(time.Hour)
		at = time.Now()
		e.offerUsage(1, 2)
		synctest.Wait()
		ev, _ = usageOf(1, 2)
		assert.Equal(t, sign(second), got.Header["Webhook-Signature"])
	})
}

func TestFilters(t *testing.T) {
	ev := Event{
		Type: ThresholdViolation, InstanceID: "vm", UserID: "u", OrgID: "o", Level: usage.LevelWarning,
		Labels: []usage.Label{{Key: "tier", Value: "db"}, {Key: "zone", Value: "1"}},
	}
	for _, tt := range []struct {
		name string
		f    Filter
		want bool
	}{
		{"nothing", Filter{}, true},
		{"instance", Filter{InstanceIDs: []string{"x", "vm"}}, true},
		{"another instance", Filter{InstanceIDs: []string{"x"}}, false},
		{"user and org", Filter{UserIDs: []string{"u"}, OrgIDs: []string{"o"}}, true},
		{"user and another org", Filter{UserIDs: []string{"u"}, OrgIDs: []string{"p"}}, false},
		{"level", Filter{Levels: []usage.ThresholdLevel{usage.LevelWarning}}, true},
		{"another level", Filter{Levels: []usage.ThresholdLevel{usage.LevelCritical}}, false},
		{"labels", Filter{Labels: []usage.Label{{Key: "zone", Value: "1"}, {Key: "tier", Value: "db"}}}, true},
		{"another label", Filter{Labels: []usage.Label{{Key: "zone", Value: "2"}}}, false},
	} {
		assert.Equal(t, tt.want, tt.f.Takes(&ev), tt.name)
	}
	over := ev
	over.Level = usage.LevelOK
	assert.True(t, (&Filter{Levels: []usage.ThresholdLevel{usage.LevelCritical}}).Takes(&over), "an end is told to whoever may have been told of it")
	period := Event{Type: ResourceUsage, InstanceID: "vm"}
	assert.True(t, (&Filter{Levels: []usage.ThresholdLevel{usage.LevelCritical}}).Takes(&period), "only violations have a level")
	alert := Event{Type: PipelineAlert}
	assert.True(t, (&Filter{InstanceIDs: []string{"vm"}}).Takes(&alert), "alerts are of no instance")
}

// A filter is a way to a hook and nothing else: who does not own an instance hears nothing of it.
func TestFiltersDoNotWiden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		e := open(t, settings(w, nil))
		defer e.close()
		for _, f := range []Filter{{}, {InstanceIDs: []string{"vm-1"}}, {UserIDs: []string{"alex"}}, {OrgIDs: []string{"o"}}} {
			v := e.hook("bo", Owner{UserID: "bo"})
			_, err := e.Update(t.Context(), v.ID, v.Version, func(h *Hook) error { h.Filter = f; return nil })
			require.NoError(t, err)
			v = e.hook("alex", alex)
			_, err = e.Update(t.Context(), v.ID, v.Version, func(h *Hook) error { h.Filter = f; return nil })
			require.NoError(t, err)
		}
		assert.Equal(t, Accepted, e.offerUsage(1, 1))
		assert.Equal(t, Accepted, e.offerUsage(2, 1))
		synctest.Wait()
		assert.Empty(t, w.got("bo"))
		assert.Len(t, w.got("alex"), 4+3)
	})
}

func TestPipelineAlerts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		e := open(t, settings(w, nil))
		defer e.close()
		e.hook("root", root, PipelineAlert)
		e.hook("alex", alex, PipelineAlert)
		e.hook("bo", Owner{UserID: "bo"}, PipelineAlert)
		alert := func(n byte, o Owner) {
			e.offer(Event{ID: uuid.UUID{n}, Type: PipelineAlert, At: time.Now().UnixNano(), Owner: o}, Mark{Key: [16]byte{n}, Sequence: 1})
		}
		alert(1, Owner{})
		alert(2, alex)
		synctest.Wait()
		assert.Len(t, w.got("root"), 2)
		assert.Len(t, w.got("alex"), 1)
		assert.Empty(t, w.got("bo"))
	})
}

// Of what happened before a hook was registered it hears nothing, also when it is offered again.
func TestNothingFromBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		e := open(t, settings(w, nil))
		defer e.close()
		ev, m := usageOf(1, 1)
		time.Sleep(time.Second)
		e.hook("a", root)
		assert.Equal(t, Unwanted, e.offer(ev, m))
		assert.Equal(t, Accepted, e.offerUsage(1, 2))
		synctest.Wait()
		assert.Len(t, w.got("a"), 1)
	})
}

// Who sees what is decided again when it is delivered.
func TestNoLongerOwned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := settings(w, newDisk())
		owns := true
		s.Owns = func(Owner, string, string) bool { return owns }
		e := open(t, s)
		defer e.close()
		v := e.hook("a", alex)
		pause(e, v.ID)
		e.offerUsage(1, 1)
		owns = false
		resume(e, v.ID)
		synctest.Wait()
		assert.Empty(t, w.got("a"))
		assert.Equal(t, 1, e.w.of("dropped owner"))
	})
}

func pause(e *engine, id string)  { setStatus(e, id, Paused) }
func resume(e *engine, id string) { setStatus(e, id, Registered) }

func setStatus(e *engine, id string, s Status) {
	e.t.Helper()
	_, err := e.Update(e.t.Context(), id, 0, func(h *Hook) error { h.Status = s; return nil })
	require.NoError(e.t, err)
}

// Of levels only the newest of an instance waits, in memory.
func TestVolatile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		d := newDisk()
		e := open(t, settings(w, d))
		defer e.close()
		v := e.hook("a", root, Metrics)
		pause(e, v.ID)
		writes := d.writes
		level := func(instance string, n byte) {
			ev := Event{ID: uuid.UUID{n}, Type: Metrics, At: time.Now().UnixNano(), InstanceID: instance, Volatile: true}
			require.Equal(t, Accepted, e.offer(ev, Mark{}))
		}
		for n := range byte(10) {
			level("x", n)
			level("y", 100+n)
		}
		assert.Equal(t, 2, e.Stats().Pending)
		assert.Equal(t, writes, d.writes)
		resume(e, v.ID)
		synctest.Wait()
		assert.ElementsMatch(t, []string{uuid.UUID{9}.String(), uuid.UUID{109}.String()}, w.got("a"))
		assert.Equal(t, 18, e.w.of("dropped replaced"))
		assert.Zero(t, e.bodyCount)
	})
}
