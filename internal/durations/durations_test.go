package durations

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
)

func TestCheck(t *testing.T) {
	conf := confmap.NewFromStringMap(map[string]any{
		"good": "1h30m", "bad": "soon", "number": 5, "nothing": nil,
		"list": []any{"0s", 5, "a while"}, "nested": map[string]any{"bad": "5 seconds", "good": "5s"},
	})
	require.NoError(t, Check(conf, "good", "number", "nothing", "absent", "nested::good", "nested::absent"))
	require.EqualError(t, Check(conf, "list"), `list[2] is "a while": write a number and a unit, such as 500ms, 30s, 5m or 1h30m`)
	assert.EqualError(t, Check(conf, "bad", "good", "nested::bad"),
		`bad is "soon": write a number and a unit, such as 500ms, 30s, 5m or 1h30m`+"\n"+
			`nested::bad is "5 seconds": write a number and a unit, such as 500ms, 30s, 5m or 1h30m`)
}
