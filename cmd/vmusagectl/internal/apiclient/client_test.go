package apiclient

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEndpoints(t *testing.T) {
	for _, tt := range []struct {
		endpoint, token string
		insecure        bool
		says            string
	}{
		{"http://127.0.0.1:8080", "key", false, ""},
		{"http://[::1]:8080/", "key", false, ""},
		{"http://localhost:8080", "key", false, ""},
		{"https://api.example.com", "key", false, ""},
		{"http://api.example.com", "", false, ""},
		{"http://api.example.com", "key", true, ""},
		{"http://api.example.com", "key", false, "would go over the network as it is: use https"},
		{"http://127.0.0.1.example.com", "key", false, "would go over the network"},
		{"https://me:secret@api.example.com", "", false, "leave out the user and the password"},
		{"me:secret@api.example.com", "", false, "write a URL without a path"},
		{"https://api.example.com/api", "", false, "write a URL without a path"},
		{"ftp://api.example.com", "", false, "write a URL without a path"},
	} {
		_, err := New(Settings{Endpoint: tt.endpoint, Token: tt.token, Insecure: tt.insecure})
		if tt.says == "" {
			require.NoError(t, err, tt.endpoint)
			continue
		}
		require.ErrorContains(t, err, tt.says)
		assert.NotContains(t, err.Error(), "secret")
	}
}

// The key is for the API alone.
func TestRedirectsAreNotFollowed(t *testing.T) {
	asked := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer other.Close()
	s := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	defer s.Close()
	c, err := New(Settings{Endpoint: s.URL, Token: "key"})
	require.NoError(t, err)
	defer c.Close()
	err = c.Do(t.Context(), http.MethodGet, "/", nil, nil)
	require.ErrorContains(t, err, "302")
	assert.Zero(t, asked)
}
