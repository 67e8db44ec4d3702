package event

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

func TestVersion(t *testing.T) {
	for v := range numVersions {
		got, err := ParseVersion(v.String())
		require.NoError(t, err)
		assert.Equal(t, v, got)

		text, err := json.Marshal(v)
		require.NoError(t, err)
		assert.Equal(t, `"`+v.String()+`"`, string(text))
		require.NoError(t, json.Unmarshal(text, &got))
		assert.Equal(t, v, got)
	}
	for _, s := range []string{"", "1", "2.0", "1.1 ", "v1.1", "unknown"} {
		v := V1_1
		require.EqualError(t, v.UnmarshalText([]byte(s)), `unknown event version "`+s+`": use "1.0" or "1.1"`)
		assert.Equal(t, V1_1, v, "an error changes nothing")
	}
	assert.Equal(t, "unknown", numVersions.String())
	_, err := numVersions.MarshalText()
	require.EqualError(t, err, "event version 2 has no name")
}

// TestKeys holds the keys to the names of the domain.
func TestKeys(t *testing.T) {
	seen := map[string]bool{}
	for m := range usage.NumMeters {
		assert.False(t, seen[m.Info().Field], m)
		seen[m.Info().Field] = true
		k := members.amounts[m]
		assert.Equal(t, `,"`+m.Info().Field+`":`, string(k.text[:k.length]), "it fits")
		if c, i, ok := m.Device(); ok {
			assert.Equal(t, m.Info().Field, c.String()+"_"+deviceKey(c, i))
		}
	}
	for c := range usage.NumClasses {
		assert.NotEmpty(t, classKeys[c])
	}
	for u := range usage.NumUtilizations {
		assert.NotEmpty(t, statKeys[u])
	}
}
