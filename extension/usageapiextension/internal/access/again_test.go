package access

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/route"
)

// goOn sends a request that an authenticator lets in, and has f run while it lasts.
func goOn(t *testing.T, server *passwords, f func(ctx context.Context, g *Guard)) {
	t.Helper()
	g := NewGuard(Settings{Again: time.Minute, Authenticators: Authenticators{
		Server: server, Mapping: Mapping{Name: "subject", User: "uid", Scopes: []route.Scope{route.ReadUsage}},
	}})
	r := httptest.NewRequest(http.MethodGet, "http://localhost/x", http.NoBody)
	r.Header.Set("X-Password", "sesame")
	reached := false
	require.NoError(t, g.Guard(reading, func(_ http.ResponseWriter, r *http.Request) error {
		reached = true
		f(r.Context(), g)
		return nil
	})(httptest.NewRecorder(), r))
	assert.True(t, reached)
}

func TestAnAuthenticatorIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &passwords{right: map[string]attributes{"sesame": {"subject": "ali", "uid": "a"}}}
		goOn(t, server, func(ctx context.Context, g *Guard) {
			for range 59 {
				time.Sleep(time.Second)
				assert.Equal(t, "a", g.Now(ctx, time.Now()).UserID)
			}
			assert.Equal(t, 1, server.asked, "at most once a minute")
			server.right["sesame"] = attributes{"subject": "ali", "uid": "b"}
			time.Sleep(time.Second)
			assert.Equal(t, "b", g.Now(ctx, time.Now()).UserID)
			assert.Equal(t, "b", From(ctx).UserID, "it is whose request it is")
			assert.Equal(t, 2, server.asked)

			delete(server.right, "sesame")
			time.Sleep(59 * time.Second)
			assert.True(t, g.Now(ctx, time.Now()).May(route.ReadUsage))
			time.Sleep(time.Second)
			assert.False(t, g.Now(ctx, time.Now()).May(route.ReadUsage))
			assert.Equal(t, Nobody(), From(ctx))
			server.right["sesame"] = attributes{"subject": "ali"}
			time.Sleep(time.Hour)
			assert.Equal(t, Nobody(), g.Now(ctx, time.Now()), "it is over")
			assert.Equal(t, 3, server.asked)
		})
	})
}

// The same credentials do not make somebody else of who asked.
func TestWhoAskedStaysTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &passwords{right: map[string]attributes{"sesame": {"subject": "ali"}}}
		goOn(t, server, func(ctx context.Context, g *Guard) {
			server.right["sesame"] = attributes{"subject": "baba"}
			time.Sleep(time.Minute)
			assert.Equal(t, Nobody(), g.Now(ctx, time.Now()))
		})
	})
}

// An authenticator that does not answer ends what goes on.
func TestAnAuthenticatorThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &passwords{right: map[string]attributes{"sesame": {"subject": "ali"}}}
		goOn(t, server, func(ctx context.Context, g *Guard) {
			server.hangs = true
			time.Sleep(time.Minute)
			assert.Equal(t, Nobody(), g.Now(ctx, time.Now()))
		})
	})
}

func TestWhoNeedsNoCredentialsGoesOn(t *testing.T) {
	g := NewGuard(Settings{Again: time.Minute})
	assert.Equal(t, Nobody(), g.Now(t.Context(), time.Now()))
	require.NoError(t, g.Guard(reading, func(_ http.ResponseWriter, r *http.Request) error {
		assert.Equal(t, Everybody(), g.Now(r.Context(), time.Now().Add(time.Hour)))
		return nil
	})(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "http://localhost/x", http.NoBody)))
}
