package usageapiexporter

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/exporter/usageapiexporter/internal/metadata"
)

// taker is an extension that takes metrics.
type taker struct {
	component.StartFunc
	component.ShutdownFunc
	took []pmetric.Metrics
}

func (t *taker) ConsumeMetrics(_ context.Context, md pmetric.Metrics) { t.took = append(t.took, md) }

// other is an extension that does not.
type other struct {
	component.StartFunc
	component.ShutdownFunc
}

type host struct {
	component.Host
	extensions map[component.ID]component.Component
}

func (h host) GetExtensions() map[component.ID]component.Component { return h.extensions }

func hostWith(extensions map[string]component.Component) host {
	h := host{componenttest.NewNopHost(), map[component.ID]component.Component{}}
	for name, x := range extensions {
		h.extensions[component.MustNewIDWithName("x", name)] = x
	}
	return h
}

func TestItFindsTheExtension(t *testing.T) {
	a, b := &taker{}, &taker{}
	id := func(name string) *component.ID { return new(component.MustNewIDWithName("x", name)) }
	for _, tt := range []struct {
		name       string
		configured *component.ID
		there      map[string]component.Component
		want       *taker
		says       string
	}{
		{"the one that is named", id("b"), map[string]component.Component{"a": a, "b": b}, b, ""},
		{"the only one", nil, map[string]component.Component{"a": a, "o": &other{}}, a, ""},
		{"none of that name", id("c"), map[string]component.Component{"a": a}, nil, `extension is "x/c": there is no such extension`},
		{"another one", id("o"), map[string]component.Component{"o": &other{}}, nil, "takes no metrics"},
		{"none", nil, map[string]component.Component{"o": &other{}}, nil, "there is no usage_api extension"},
		{"several", nil, map[string]component.Component{"a": a, "b": b}, nil, `there are several: name one of ["x/a" "x/b"]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := NewFactory().CreateMetrics(t.Context(), exportertest.NewNopSettings(metadata.Type), &Config{Extension: tt.configured})
			require.NoError(t, err)
			err = e.Start(t.Context(), hostWith(tt.there))
			if tt.says != "" {
				require.ErrorContains(t, err, tt.says)
				return
			}
			require.NoError(t, err)
			assert.False(t, e.Capabilities().MutatesData)
			md := pmetric.NewMetrics()
			md.ResourceMetrics().AppendEmpty()
			require.NoError(t, e.ConsumeMetrics(t.Context(), md))
			assert.Equal(t, []pmetric.Metrics{md}, tt.want.took)
			require.NoError(t, e.Shutdown(t.Context()))
			tt.want.took = nil
		})
	}
}
