package health_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/vmusage/otelcol-vmusage/internal/health"
)

type host struct {
	component.Host
	got []componentstatus.Status
}

func (h *host) Report(e *componentstatus.Event) { h.got = append(h.got, e.Status()) }

func TestNewsComeOncePerChange(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	h := &host{}
	r := health.New(zap.New(core), h)
	for range 3 {
		r.Report("delivery", nil)
	}
	assert.Equal(t, []componentstatus.Status{componentstatus.StatusOK}, h.got)
	for range 3 {
		r.Report("delivery", errors.New("no broker"))
	}
	assert.True(t, r.Failing("delivery"))
	assert.Equal(t, 1, logs.Len())
	r.Report("source", errors.New("gone"))
	r.Report("delivery", nil)
	assert.False(t, r.Failing("delivery"))
	assert.Equal(t, componentstatus.StatusRecoverableError, h.got[len(h.got)-1], "the source still fails")
	r.Report("source", nil)
	assert.Equal(t, componentstatus.StatusOK, h.got[len(h.got)-1])
	assert.Len(t, h.got, 5)
	assert.Equal(t, 4, logs.Len())
	last := logs.All()[2]
	assert.Equal(t, int64(3), last.ContextMap()["failures"])
	assert.Equal(t, "no broker", last.ContextMap()["last_error"])
}

func TestWithoutAHostThereIsOnlyTheLog(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	r := health.New(zap.New(core), nil)
	r.Report("x", errors.New("y"))
	r.Report("x", nil)
	assert.Equal(t, 2, logs.Len())
}
