package usageapiextension

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/pipeline"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store/storetest"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/vitals"
)

var (
	metering   = componentstatus.NewInstanceID(component.MustNewID("vm_usage"), component.KindReceiver, pipeline.NewID(pipeline.SignalMetrics))
	publishing = componentstatus.NewInstanceID(component.MustNewID("usage_event"), component.KindExporter, pipeline.NewID(pipeline.SignalMetrics))
	other      = componentstatus.NewInstanceID(component.MustNewID("prometheus"), component.KindExporter, pipeline.NewID(pipeline.SignalMetrics))
	self       = componentstatus.NewInstanceID(component.MustNewID("usage_api"), component.KindExtension)
)

func (s *served) makeHealthy() {
	for _, id := range []*componentstatus.InstanceID{metering, publishing, other} {
		s.Changed(id, componentstatus.NewEvent(componentstatus.StatusOK))
	}
	s.Published(publishing.ComponentID(), time.Now())
}

func TestHealth(t *testing.T) {
	s := serve(t)
	a := s.get(t, "/health")
	assert.Equal(t, http.StatusServiceUnavailable, a.StatusCode, "nothing came yet")
	assert.Equal(t, "degraded\n", string(a.body))
	s.machines(1)
	s.makeHealthy()
	a = s.get(t, "/health")
	assert.Equal(t, http.StatusOK, a.StatusCode)
	assert.Equal(t, "healthy\n", string(a.body))

	s.Changed(publishing, componentstatus.NewRecoverableErrorEvent(errors.New("dial tcp 10.0.0.7: refused")))
	a = s.get(t, "/health")
	assert.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
	assert.Equal(t, "degraded\n", string(a.body), "why is not for everybody")
	var r vitals.Report
	a = s.get(t, "/api/v1/health/status")
	assert.Equal(t, http.StatusOK, a.StatusCode)
	a.decode(t, &r)
	assert.Equal(t, vitals.Degraded, r.Status)
	assert.Equal(t, []string{"exporter usage_event: dial tcp 10.0.0.7: refused"}, r.Components[vitals.Publishing].Details)
	assert.Equal(t, vitals.OK, r.Components[vitals.Collection].Status)
	require.NotNil(t, r.Components[vitals.Publishing].LastSuccess)
	require.NotNil(t, r.Components[vitals.API].LastSuccess)
}

// watch returns vitals over a store that is fed every ten seconds.
func watch() (*vitals.Vitals, *store.Store) {
	s := store.New(store.Settings{MaxInstances: 10, MaxBytes: 1 << 20, Retain: time.Hour, Now: time.Now})
	return vitals.New(vitals.Settings{
		Data: s, StalledAfter: time.Minute, Version: "1", Self: self.ComponentID(), Now: time.Now,
	}), s
}

// What fails is seen at once, what goes silent within an interval of the first that is
// missed, and both are over when they are.
func TestWhatMakesItDegraded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, s := watch()
		tick := func() {
			time.Sleep(10 * time.Second)
			s.Consume(storetest.Machine(1).Levels(time.Now().UnixNano()))
		}
		tick()
		tick()
		require.Equal(t, vitals.OK, v.Report().Status)
		v.Changed(other, componentstatus.NewRecoverableErrorEvent(errors.New("x")))
		assert.Equal(t, vitals.Degraded, v.Report().Status, "without an exporter of events it is about those that there are")
		v.Changed(publishing, componentstatus.NewEvent(componentstatus.StatusOK))
		assert.Equal(t, vitals.OK, v.Report().Status, "another backend is not about events")
		for _, fault := range []struct {
			source *componentstatus.InstanceID
			event  *componentstatus.Event
			part   string
			want   vitals.Status
		}{
			{metering, componentstatus.NewRecoverableErrorEvent(errors.New("source host: no /proc")), vitals.Collection, vitals.Degraded},
			{metering, componentstatus.NewRecoverableErrorEvent(errors.New("storage: no space left")), vitals.Collection, vitals.Degraded},
			{publishing, componentstatus.NewRecoverableErrorEvent(errors.New("the breaker is open")), vitals.Publishing, vitals.Degraded},
			{publishing, componentstatus.NewPermanentErrorEvent(errors.New("x")), vitals.Publishing, vitals.Failed},
			{self, componentstatus.NewPermanentErrorEvent(errors.New("x")), vitals.API, vitals.Failed},
			{metering, componentstatus.NewEvent(componentstatus.StatusStopped), vitals.Collection, vitals.Degraded},
		} {
			v.Changed(fault.source, fault.event)
			r := v.Report()
			assert.Equal(t, fault.want, r.Status)
			assert.Equal(t, fault.want, r.Components[fault.part].Status)
			assert.Len(t, r.Components[fault.part].Details, 1)
			v.Changed(fault.source, componentstatus.NewEvent(componentstatus.StatusOK))
			assert.Equal(t, vitals.OK, v.Report().Status)
		}

		tick()
		time.Sleep(20 * time.Second)
		assert.Equal(t, vitals.OK, v.Report().Status)
		time.Sleep(5 * time.Second)
		r := v.Report()
		assert.Equal(t, vitals.Degraded, r.Components[vitals.Collection].Status)
		assert.Equal(t, []string{"1 of 1 instances send no metrics any more"}, r.Components[vitals.Collection].Details)
		assert.Equal(t, int64(55), r.UptimeSeconds)
		tick()
		assert.Equal(t, vitals.OK, v.Report().Status)
	})
}

// One configuration in two pipelines is two components: that one works says nothing
// of the other.
func TestTwoOfOneConfiguration(t *testing.T) {
	v, s := watch()
	s.Consume(storetest.Machine(1).Levels(1))
	second := componentstatus.NewInstanceID(component.MustNewID("usage_event"), component.KindExporter, pipeline.NewIDWithName(pipeline.SignalMetrics, "2"))
	v.Changed(publishing, componentstatus.NewRecoverableErrorEvent(errors.New("x")))
	v.Changed(second, componentstatus.NewEvent(componentstatus.StatusOK))
	assert.Equal(t, vitals.Degraded, v.Report().Status)
}
