package access

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/client"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/route"
	"github.com/vmusage/otelcol-vmusage/internal/apikey"
)

// passwords lets those in who say theirs in X-Password.
type passwords struct {
	right map[string]attributes
	asked int
	hangs bool
}

func (p *passwords) Authenticate(ctx context.Context, sources map[string][]string) (context.Context, error) {
	p.asked++
	if p.hangs {
		<-ctx.Done()
		return ctx, ctx.Err()
	}
	for _, said := range sources["X-Password"] {
		if of, ok := p.right[said]; ok {
			return client.NewContext(ctx, client.Info{Auth: of}), nil
		}
	}
	return ctx, errors.New("wrong")
}

// bench is a guard and what it told.
type bench struct {
	guard   *Guard
	refused []Reason
	records []Record
	seen    *Principal // by the last handler that was reached
}

func newBench(s Settings) *bench {
	b := &bench{}
	s.Refused = func(_ context.Context, why Reason) { b.refused = append(b.refused, why) }
	s.Audit = func(r Record) { b.records = append(b.records, r) }
	b.guard = NewGuard(s)
	return b
}

// ask sends a request through the guard and returns the error, nil or a problem.
func (b *bench) ask(to route.Route, header map[string]string) *problem.Error {
	r := httptest.NewRequest(to.Method, "http://localhost/x", http.NoBody)
	r.RemoteAddr = "192.0.2.1:1"
	for k, v := range header {
		if k == "from" {
			r.RemoteAddr = v
			continue
		}
		r.Header.Set(k, v)
	}
	b.seen = nil
	err := b.guard.Guard(to, func(_ http.ResponseWriter, r *http.Request) error {
		b.seen = From(r.Context())
		About(r.Context(), "rule-1")
		return nil
	})(httptest.NewRecorder(), r)
	if err == nil {
		return nil
	}
	p, _ := errors.AsType[*problem.Error](err)
	return p
}

var (
	reading = route.Route{Method: http.MethodGet, Operation: "readUsage", Scope: route.ReadUsage}
	writing = route.Route{Method: http.MethodPut, Operation: "replaceThreshold", Scope: route.WriteThresholds}
	public  = route.Route{Method: http.MethodGet, Operation: "health", Scope: route.Public}
)

func TestGuardOfKeys(t *testing.T) {
	ring := NewKeyring()
	token, document := key(t, apikey.Key{Name: "portal", UserID: "a"})
	require.NoError(t, ring.Load(document))
	b := newBench(Settings{Authenticators: Authenticators{Keys: ring}})

	require.Nil(t, b.ask(reading, map[string]string{"Authorization": "Bearer " + token}))
	assert.Equal(t, "portal", b.seen.Name)
	require.Nil(t, b.ask(reading, map[string]string{"X-API-Key": token}))
	require.Nil(t, b.ask(public, nil))
	assert.Equal(t, Nobody(), b.seen)

	p := b.ask(reading, nil)
	assert.Equal(t, http.StatusUnauthorized, p.Status)
	assert.Equal(t, `Bearer realm="usage_api"`, p.Header.Get("WWW-Authenticate"))
	p = b.ask(reading, map[string]string{"Authorization": "Basic eDp5"})
	assert.Equal(t, http.StatusUnauthorized, p.Status)
	assert.Equal(t, `Bearer realm="usage_api", error="invalid_token"`, p.Header.Get("WWW-Authenticate"))
	p = b.ask(writing, map[string]string{"X-API-Key": token})
	assert.Equal(t, http.StatusForbidden, p.Status)
	assert.Contains(t, p.Detail, "thresholds:write")
	assert.Contains(t, p.Header.Get("WWW-Authenticate"), `error="insufficient_scope", scope="thresholds:write"`)
	assert.Equal(t, []Reason{Missing, Unknown, Scope}, b.refused)
}

// Either of both lets somebody in, and what begins as a key is one.
func TestGuardOfKeysAndAnAuthenticator(t *testing.T) {
	ring := NewKeyring()
	token, document := key(t, apikey.Key{Name: "portal", UserID: "a"})
	require.NoError(t, ring.Load(document))
	server := &passwords{right: map[string]attributes{"sesame": {"subject": "ali"}}}
	a := Authenticators{
		Keys: ring, Server: server, Parameters: []string{"X-Password"},
		Mapping: Mapping{Name: "subject", Scopes: []route.Scope{route.ReadUsage}},
	}
	b := newBench(Settings{Authenticators: a})

	require.Nil(t, b.ask(reading, map[string]string{"X-API-Key": token}))
	assert.Equal(t, APIKey, b.seen.Kind)
	assert.Zero(t, server.asked)
	require.Nil(t, b.ask(reading, map[string]string{"X-Password": "sesame"}))
	assert.Equal(t, &Principal{Kind: Authenticator, ID: "ali", Name: "ali", Scopes: []route.Scope{route.ReadUsage}}, b.seen)
	assert.Equal(t, 401, b.ask(reading, map[string]string{"X-API-Key": token[:50], "X-Password": "sesame"}).Status, "a key that is none is not passed on")
	assert.Equal(t, 1, server.asked)
	assert.Equal(t, 401, b.ask(reading, map[string]string{"Authorization": "Bearer x"}).Status)
	assert.Equal(t, 401, b.ask(reading, nil).Status)
	assert.Equal(t, []Reason{Unknown, Unknown, Missing}, b.refused)

	r := httptest.NewRequest(http.MethodGet, "/x?X-Password=sesame", http.NoBody)
	p, _, err := a.server(r)
	require.NoError(t, err)
	assert.Equal(t, "ali", p.Name)
	assert.Empty(t, r.Header, "the request stays as it came")
}

func TestGuardOfNobody(t *testing.T) {
	b := newBench(Settings{Anybody: func(r *http.Request) error {
		if r.Header.Get("Origin") != "" {
			return problem.New(http.StatusMisdirectedRequest, "no")
		}
		return nil
	}})
	require.Nil(t, b.ask(writing, nil))
	assert.Equal(t, Everybody(), b.seen)
	for _, to := range []route.Route{writing, public} {
		assert.Equal(t, http.StatusMisdirectedRequest, b.ask(to, map[string]string{"Origin": "evil"}).Status)
		assert.Nil(t, b.seen)
	}
	assert.Equal(t, []Reason{Host, Host}, b.refused)
}

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring := NewKeyring()
		token, document := key(t, apikey.Key{Name: "portal", UserID: "a"})
		require.NoError(t, ring.Load(document))
		server := &passwords{right: map[string]attributes{"sesame": {"subject": "ali"}}}
		b := newBench(Settings{
			Authenticators: Authenticators{Keys: ring, Server: server, Mapping: Mapping{Scopes: AllScopes()}},
			Limits: Limits{
				PerPrincipal: Rate{2, time.Second}, PerAddress: Rate{100, time.Millisecond}, FailedLogins: Rate{3, time.Minute},
			},
		})
		good := map[string]string{"X-API-Key": token}
		require.Nil(t, b.ask(reading, good))
		require.Nil(t, b.ask(reading, good))
		p := b.ask(reading, map[string]string{"X-API-Key": token, "from": "198.51.100.1:1"})
		assert.Equal(t, http.StatusTooManyRequests, p.Status, "of a principal, from wherever it asks")
		assert.Equal(t, "1", p.Header.Get("Retry-After"))
		time.Sleep(time.Second)
		require.Nil(t, b.ask(reading, good))
		assert.Equal(t, []Reason{TooMany}, b.refused)

		b.refused = nil
		time.Sleep(time.Hour)
		for range 3 {
			assert.Equal(t, 401, b.ask(reading, map[string]string{"X-Password": "guess", "Authorization": "Bearer guess"}).Status)
		}
		asked := server.asked
		p = b.ask(reading, map[string]string{"X-Password": "sesame"})
		assert.Equal(t, http.StatusTooManyRequests, p.Status)
		assert.Equal(t, "60", p.Header.Get("Retry-After"))
		assert.Equal(t, asked, server.asked, "what may be guessed is not even tried")
		require.Nil(t, b.ask(reading, good), "a good key is not locked out")
		assert.Equal(t, 429, b.ask(reading, map[string]string{"X-API-Key": token[:50]}).Status)
		require.Nil(t, b.ask(reading, map[string]string{"X-Password": "sesame", "from": "198.51.100.1:1"}), "nor is another address")
		assert.Equal(t, []Reason{Unknown, Unknown, Unknown, Failures, Failures}, b.refused)

		b.refused = nil
		time.Sleep(time.Hour)
		for range 100 {
			require.Nil(t, b.ask(public, map[string]string{"from": "[2001:db8::1]:1"}))
		}
		assert.Equal(t, 429, b.ask(public, map[string]string{"from": "[2001:db8::2]:1"}).Status, "one network of 64 bits")
		require.Nil(t, b.ask(public, map[string]string{"from": "[2001:db8:0:1::2]:1"}))
		assert.Equal(t, []Reason{Address}, b.refused)
	})
}

func TestAudit(t *testing.T) {
	ring := NewKeyring()
	token, document := key(t, apikey.Key{Name: "portal", UserID: "a", Scopes: []string{"thresholds:write"}})
	require.NoError(t, ring.Load(document))
	b := newBench(Settings{Authenticators: Authenticators{Keys: ring}})
	require.Nil(t, b.ask(public, nil))
	assert.Empty(t, b.records, "only changes are told")
	require.Nil(t, b.ask(writing, map[string]string{"X-API-Key": token}))
	require.NotNil(t, b.ask(writing, nil))
	require.Len(t, b.records, 2)
	assert.Equal(t, Record{
		Principal: b.records[0].Principal, From: netip.MustParseAddr("192.0.2.1"),
		Operation: "replaceThreshold", Method: http.MethodPut, Path: "/x", Object: "rule-1",
	}, b.records[0])
	assert.Equal(t, "portal", b.records[0].Principal.Name)
	assert.Equal(t, Nobody(), b.records[1].Principal)
	require.Error(t, b.records[1].Err, "who was refused is told, too")
	About(t.Context(), "outside of a request nothing happens")
}

// BenchmarkGuard is what each request costs before its handler begins.
func BenchmarkGuard(b *testing.B) {
	id, token := apikey.NewToken()
	document, err := apikey.Add(nil, &apikey.Key{ID: id, Name: "n", Hash: apikey.HashOf(token), Admin: true, Scopes: []string{"usage:read"}})
	require.NoError(b, err)
	ring := NewKeyring()
	require.NoError(b, ring.Load(document))
	much := Rate{1 << 30, time.Nanosecond}
	guard := NewGuard(Settings{Authenticators: Authenticators{Keys: ring}, Limits: Limits{much, much, much}})
	handler := guard.Guard(reading, func(http.ResponseWriter, *http.Request) error { return nil })
	r := httptest.NewRequest(http.MethodGet, "/x", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+token)
	b.ReportAllocs()
	for b.Loop() {
		if err := handler(nil, r); err != nil {
			b.Fatal(err)
		}
	}
}
