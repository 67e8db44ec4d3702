package access

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/apikey"
)

func TestKeyIn(t *testing.T) {
	_, key := apikey.NewToken()
	_, other := apikey.NewToken()
	for _, tt := range []struct {
		name   string
		header http.Header
		want   string
		err    error
	}{
		{"nothing", nil, "", nil},
		{"bearer", http.Header{"Authorization": {"Bearer " + key}}, key, nil},
		{"any case, more spaces", http.Header{"Authorization": {"bEARER   " + key}}, key, nil},
		{"own header", http.Header{KeyHeader: {key}}, key, nil},
		{"own header beside a proxy's", http.Header{KeyHeader: {key}, "Authorization": {"Basic eDp5"}}, key, nil},
		{"another token", http.Header{"Authorization": {"Bearer eyJhbGciOi"}}, "", nil},
		{"another scheme", http.Header{"Authorization": {"Basic " + key}}, "", nil},
		{"no scheme", http.Header{"Authorization": {key}}, "", nil},
		{"cut off", http.Header{"Authorization": {"Bearer " + key[:20]}}, "", errMalformed},
		{"trailing space", http.Header{"Authorization": {"Bearer " + key + " "}}, "", errMalformed},
		{"own header without a key", http.Header{KeyHeader: {"x"}}, "", errMalformed},
		{"own header, empty", http.Header{KeyHeader: {""}}, "", errMalformed},
		{"two", http.Header{KeyHeader: {key, other}}, "", errAmbiguous},
		{"one in each", http.Header{KeyHeader: {key}, "Authorization": {"Bearer " + other}}, "", errAmbiguous},
		{"twice the same", http.Header{"Authorization": {"Bearer " + key, "Bearer " + key}}, "", errAmbiguous},
	} {
		got, err := keyIn(tt.header)
		assert.Equal(t, tt.want, got, tt.name)
		assert.Equal(t, tt.err, err, tt.name)
	}
}

func FuzzKeyIn(f *testing.F) {
	_, key := apikey.NewToken()
	f.Add("Bearer "+key, "")
	f.Add("", key)
	f.Add("bearer  vmu_", " ")
	f.Fuzz(func(t *testing.T, authorization, own string) {
		h := http.Header{"Authorization": {authorization}}
		if own != "" {
			h.Set(KeyHeader, own)
		}
		token, err := keyIn(h)
		if token == "" {
			return
		}
		require.NoError(t, err)
		_, ok := apikey.IDOf(token)
		assert.True(t, ok)
		assert.True(t, strings.HasSuffix(authorization, token) || own == token)
	})
}
