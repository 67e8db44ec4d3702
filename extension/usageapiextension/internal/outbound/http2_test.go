package outbound

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
)

// The bounds hold by HTTP/2, too, and who breaks them does not harm the next request.
func TestBoundsHTTP2(t *testing.T) {
	var written atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/header":
			w.Header().Set("X", strings.Repeat("x", 2*maxHeaderBytes))
		case "/reset":
			panic(http.ErrAbortHandler)
		case "/endless":
			for written.Load() < 1<<30 {
				n, err := w.Write([]byte(strings.Repeat("x", 64<<10)))
				written.Add(int64(n))
				if err != nil {
					return
				}
			}
		}
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	set := local()
	set.TLS = &tls.Config{RootCAs: roots}
	c := newClient(t, set)
	for _, tt := range []struct {
		path    string
		class   Class
		excerpt string
	}{
		{"/header", Unreachable, ""},
		{"/", Delivered, ""},
		{"/endless", Delivered, strings.Repeat("x", 64)},
		{"/", Delivered, ""},
		{"/reset", Unreachable, ""},
		{"/", Delivered, ""},
	} {
		out := c.Send(t.Context(), post(s.URL+tt.path))
		assert.Equal(t, tt.class, out.Class, "%s: %v", tt.path, out.Err)
		assert.Equal(t, tt.excerpt, out.Excerpt)
	}
	assert.Less(t, written.Load(), int64(64<<20))
}
