package usageapiextension

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configauth"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/metadata"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store/storetest"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
	"github.com/vmusage/otelcol-vmusage/internal/apikey"
	"github.com/vmusage/otelcol-vmusage/internal/rulestore"
	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

// keyFile is a file of keys, by the names of who has them.
type keyFile struct {
	path     string
	document []byte
	tokens   map[string]string
}

func newKeyFile(tb testing.TB) *keyFile {
	f := &keyFile{path: filepath.Join(tb.TempDir(), "keys.yaml"), tokens: map[string]string{}}
	f.write(tb, []byte("keys: []\n"))
	return f
}

func (f *keyFile) write(tb testing.TB, document []byte) {
	tb.Helper()
	f.document = document
	require.NoError(tb, os.WriteFile(f.path+".new", document, 0o600))
	require.NoError(tb, os.Rename(f.path+".new", f.path))
}

func (f *keyFile) add(tb testing.TB, k apikey.Key) {
	tb.Helper()
	id, token := apikey.NewToken()
	k.ID, k.Hash = id, apikey.HashOf(token)
	if k.Scopes == nil {
		k.Scopes = apikey.Scopes()
	}
	document, err := apikey.Add(f.document, &k)
	require.NoError(tb, err)
	f.write(tb, document)
	f.tokens[k.Name] = token
}

func (f *keyFile) use(c *Config) {
	c.APIKeys = configoptional.Some(APIKeysConfig{File: f.path, Interval: 100 * time.Millisecond})
}

func (f *keyFile) as(name string) []string {
	return []string{"Authorization", "Bearer " + f.tokens[name]}
}

// rule writes a rule as an admin does.
func (s *served) rule(tb testing.TB, document string) {
	tb.Helper()
	s.ruleOf(tb, document, rulestore.Author{})
}

func (s *served) ruleOf(tb testing.TB, document string, author rulestore.Author) {
	tb.Helper()
	rules, err := threshold.Parse([]byte("["+document+"]"), threshold.Options{Source: threshold.API})
	require.NoError(tb, err)
	if _, err = s.rules.Put(tb.Context(), rules[0], rulestore.Absent, author); errors.Is(err, rulestore.ErrConflict) {
		_, err = s.rules.Put(tb.Context(), rules[0], rulestore.Any, author)
	}
	require.NoError(tb, err)
}

// In the matrix there are two machines: that of user a in organization o, and that of
// user b in organization p; and a rule and a webhook for each. Whatever is a's says so.
const (
	markA = "marked-as-of-a"
	markB = "marked-as-of-b"
)

// targets are the paths of what is a's. An operation whose path has a parameter and that
// is not here fails the test.
var targets = map[string]string{
	"getInstance":      "/api/v1/usage/instances/" + markA + "/current",
	"getUser":          "/api/v1/usage/users/a/current",
	"getOrganization":  "/api/v1/usage/orgs/o/current",
	"getThreshold":     "/api/v1/thresholds/rule-" + markA,
	"replaceThreshold": "/api/v1/thresholds/rule-" + markA,
	"deleteThreshold":  "/api/v1/thresholds/rule-" + markA,
	"getWebhook":       "/api/v1/webhooks/{webhook}",
	"updateWebhook":    "/api/v1/webhooks/{webhook}",
	"deleteWebhook":    "/api/v1/webhooks/{webhook}",
	"testWebhook":      "/api/v1/webhooks/{webhook}/test",
	"listDeliveries":   "/api/v1/webhooks/{webhook}/deliveries",
	"resendDelivery":   "/api/v1/webhooks/{webhook}/deliveries/1/resend",
}

// bodies are those of operations that take one, about what is a's.
var bodies = map[string]string{
	"createThreshold":  `{"resource":"cpu","type":"percentage","warning":80,"selector":{"user_id":"a","org_id":"o"}}`,
	"createWebhook":    `{"url":"https://example.com/hook","event_types":["resource_usage"]}`,
	"updateWebhook":    `{"status":"paused"}`,
	"replaceThreshold": `{"resource":"cpu","type":"percentage","warning":90,"description":"` + markA + `","selector":{"user_id":"a","org_id":"o"}}`,
}

// refusals are those of operations that have a body, to who does not own what it is about.
var refusals = map[string]int{"createThreshold": http.StatusForbidden}

// who asks in the matrix, and what is theirs.
var askers = []struct {
	name             string
	knows            bool // who it is
	ofA, ofB, scopes bool
	org              bool // what is theirs is so through the organization
}{
	{name: "none"},
	{name: "bad"},
	{name: "expired"},
	{name: "revoked"},
	{name: "user a", knows: true, ofA: true, scopes: true},
	{name: "user b", knows: true, ofB: true, scopes: true},
	{name: "org admin o", knows: true, ofA: true, scopes: true, org: true},
	{name: "org admin p", knows: true, ofB: true, scopes: true, org: true},
	{name: "admin", knows: true, ofA: true, ofB: true, scopes: true},
	{name: "owner of nothing", knows: true, scopes: true},
	{name: "without scopes", knows: true, ofA: true}, // but one that no operation needs
}

func matrixKeys(t *testing.T, unused string) *keyFile {
	f := newKeyFile(t)
	f.add(t, apikey.Key{Name: "expired", UserID: "a", Expires: time.Now().Add(-time.Hour)})
	f.add(t, apikey.Key{Name: "revoked", UserID: "a", Disabled: true})
	f.add(t, apikey.Key{Name: "user a", UserID: "a"})
	f.add(t, apikey.Key{Name: "user b", UserID: "b"})
	f.add(t, apikey.Key{Name: "org admin o", OrgID: "o"})
	f.add(t, apikey.Key{Name: "org admin p", OrgID: "p"})
	f.add(t, apikey.Key{Name: "admin", Admin: true})
	f.add(t, apikey.Key{Name: "owner of nothing", UserID: "nobody"})
	f.add(t, apikey.Key{Name: "without scopes", UserID: "a", Scopes: []string{unused}})
	_, f.tokens["bad"] = apikey.NewToken()
	return f
}

// TestMatrix asks every operation of the document as everybody.
func TestMatrix(t *testing.T) {
	for _, scope := range apikey.Scopes() {
		t.Run("without "+scope, func(t *testing.T) { matrix(t, scope) })
	}
}

// matrix asks all operations as everybody; who has no scopes has all but one.
func matrix(t *testing.T, without string) {
	// The key has the others; of operations that need one of those it is user a.
	keys := matrixKeys(t, without)
	id, _ := apikey.IDOf(keys.tokens["without scopes"])
	document, err := apikey.Remove(keys.document, id)
	require.NoError(t, err)
	keys.document = document
	others := slices.DeleteFunc(apikey.Scopes(), func(s string) bool { return s == without })
	keys.add(t, apikey.Key{Name: "without scopes", UserID: "a", Scopes: others})

	endpoint := newSink(t)
	s := serve(t, keys.use, local, func(c *Config) { c.RateLimits.FailedLogins.Burst = -1 })
	for i, of := range []struct{ mark, user, org string }{{markA, "a", "o"}, {markB, "b", "p"}} {
		m := storetest.Machine(i)
		m.Instance.ID, m.Instance.Name, m.Instance.UserID, m.Instance.OrgID = of.mark, of.mark, of.user, of.org
		s.consume(m.Levels(time.Now().UnixNano()))
	}
	operations := s.check.document.Operations
	require.NotEmpty(t, operations)
	for _, o := range operations {
		path := o.Path
		if strings.Contains(path, "{") {
			require.Contains(t, targets, o.ID, "%s %s is new: say in targets what is a's", o.Method, o.Path)
			path = targets[o.ID]
		}
		for _, who := range askers {
			t.Run(o.ID+" "+who.name, func(t *testing.T) {
				for _, of := range []struct{ mark, user, org string }{{markA, "a", "o"}, {markB, "b", "p"}} {
					s.ruleOf(t, fmt.Sprintf(`{"id":"rule-%s","resource":"cpu","type":"percentage","warning":80,"description":%q,"selector":{"user_id":%q,"org_id":%q}}`,
						of.mark, of.mark, of.user, of.org), rulestore.Author{UserID: of.user})
				}
				hook := s.hookOf(t, endpoint.URL, markA, webhook.Owner{UserID: "a"})
				s.hookOf(t, endpoint.URL, markB, webhook.Owner{UserID: "b"})
				path := strings.ReplaceAll(path, "{webhook}", hook)
				if o.Tag == "webhooks" && who.org { // which is not the user
					who.ofA, who.ofB = false, false
				}
				var header []string
				if _, has := keys.tokens[who.name]; has {
					header = keys.as(who.name)
				}
				if strings.EqualFold(o.Method, http.MethodPut) || strings.EqualFold(o.Method, http.MethodDelete) {
					header = append(header, "If-Match", "*")
				}
				a := s.send(t, strings.ToUpper(o.Method), path, bodies[o.ID], header...)
				body := string(a.body)
				assert.False(t, !who.ofA && strings.Contains(body, markA), "it tells what is a's: %s", body)
				assert.False(t, !who.ofB && strings.Contains(body, markB), "it tells what is b's: %s", body)
				switch {
				case o.Scope == "":
					assert.NotContains(t, []int{401, 403, 404}, a.StatusCode, "%s", body)
				case !who.knows:
					assert.Equal(t, 401, a.StatusCode, "%s", body)
					assert.NotEmpty(t, a.Header.Get("WWW-Authenticate"))
				case !who.scopes && o.Scope == without:
					assert.Equal(t, 403, a.StatusCode, "%s", body)
					assert.Contains(t, body, o.Scope)
				case who.ofA || path == o.Path && refusals[o.ID] == 0 && o.ID != "getMachine":
					assert.True(t, a.StatusCode < 300 || o.ID == "getMachine" && a.StatusCode == 409, "%d %s", a.StatusCode, body)
				case o.ID == "getMachine" && who.ofB:
					assert.Equal(t, 200, a.StatusCode, "%s", body)
				case refusals[o.ID] != 0:
					assert.Equal(t, refusals[o.ID], a.StatusCode, "%s", body)
				default:
					assert.Equal(t, 404, a.StatusCode, "%s", body)
					none := s.send(t, strings.ToUpper(o.Method), strings.NewReplacer(markA, "none", "/a/", "/none/", "/o/", "/none/", hook, "none").Replace(path), bodies[o.ID], header...)
					assert.Equal(t, string(none.body), body, "what is not yours does not exist")
				}
			})
		}
	}
	names := slices.Collect(maps.Keys(targets))
	for _, o := range operations {
		names = slices.DeleteFunc(names, func(n string) bool { return n == o.ID })
	}
	assert.Empty(t, names, "targets that are no operations any more")
}

// A key that is revoked while the extension runs lets nobody in, and a stream that it
// opened tells nothing more.
func TestRevoking(t *testing.T) {
	keys := newKeyFile(t)
	keys.add(t, apikey.Key{Name: "portal", UserID: "user-0"})
	s := serve(t, keys.use)
	s.machines(1)
	ask := func() int { return s.get(t, "/api/v1/usage/instances", keys.as("portal")...).StatusCode }
	require.Equal(t, 200, ask())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/api/v1/usage/stream?fields=name", http.NoBody)
	require.NoError(t, err)
	r.Header.Set("X-API-Key", keys.tokens["portal"])
	stream, err := s.client.Do(r)
	require.NoError(t, err)
	defer stream.Body.Close()
	told, err := readAll(stream)
	require.NoError(t, err)
	assert.Contains(t, string(told), "web-0")

	id, _ := apikey.IDOf(keys.tokens["portal"])
	document, err := apikey.Disable(keys.document, id)
	require.NoError(t, err)
	keys.write(t, document)
	require.Eventually(t, func() bool { return ask() == 401 }, time.Minute, 50*time.Millisecond)
	keys.write(t, []byte("keys: [{}]\n")) // changes nothing, to the better neither
	s.consume(storetest.Machine(0).Levels(time.Now().Add(time.Minute).UnixNano()))
	rest, err := io.ReadAll(stream.Body)
	require.NoError(t, err, "the stream ends")
	assert.NotContains(t, string(rest), "web-0")
}

// Whatever is wrong with the file of keys keeps nobody from metering.
func TestKeysThatCannotBeRead(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	set := extensiontest.NewNopSettings(metadata.Type)
	set.Logger = zap.New(core)
	path := filepath.Join(t.TempDir(), "keys.yaml")
	s := serveOn(t, componenttest.NewNopHost(), set, func(c *Config) {
		c.APIKeys = configoptional.Some(APIKeysConfig{File: path, Interval: 100 * time.Millisecond})
	})
	_, token := apikey.NewToken()
	assert.Equal(t, 401, s.get(t, "/api/v1/usage/instances", "X-API-Key", token).StatusCode)
	assert.NotEqual(t, 401, s.get(t, "/health").StatusCode)
	said := logs.FilterMessageSnippet("reading API keys fails").All()
	require.Len(t, said, 1)
	assert.Contains(t, said[0].ContextMap()["error"], path+": no such file or directory; the keys that were last in order stay valid, 0 of them")
}

// asHost is a host with extensions.
type asHost map[component.ID]component.Component

func (h asHost) GetExtensions() map[component.ID]component.Component { return h }

// tickets lets those in who have one.
type tickets struct {
	component.StartFunc
	component.ShutdownFunc
}

func (tickets) Authenticate(ctx context.Context, sources map[string][]string) (context.Context, error) {
	for _, said := range sources["Authorization"] {
		if name, ok := strings.CutPrefix(said, "Ticket "); ok {
			return client.NewContext(ctx, client.Info{Auth: claims{"subject": name, "claims.uid": name, "membership": []string{name + "s"}}}), nil
		}
	}
	return ctx, errors.New("no ticket")
}

type claims map[string]any

func (c claims) GetAttribute(name string) any { return c[name] }

func (c claims) GetAttributeNames() []string { return slices.Collect(maps.Keys(c)) }

// doors lets in who says so, until it is shut.
type doors struct {
	tickets
	shut *atomic.Bool
}

func (d doors) Authenticate(ctx context.Context, sources map[string][]string) (context.Context, error) {
	if d.shut.Load() {
		return ctx, errors.New("the ticket has expired")
	}
	return d.tickets.Authenticate(ctx, sources)
}

// A stream ends when the authenticator does not accept any more what let it begin.
func TestAStreamOfATokenThatExpires(t *testing.T) {
	id := component.MustNewID("doors")
	door := doors{shut: &atomic.Bool{}}
	s := serveOn(t, asHost{id: door}, extensiontest.NewNopSettings(metadata.Type), func(c *Config) {
		c.ServerConfig.Auth = configoptional.Some(confighttp.AuthConfig{Config: configauth.Config{AuthenticatorID: id}})
		c.Principal.UserAttribute = "claims.uid"
		c.Stream.Interval = 100 * time.Millisecond
	})
	s.guard.Again = 0 // not only once a minute
	s.machines(1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/api/v1/usage/stream?fields=name", http.NoBody)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Ticket user-0")
	stream, err := s.client.Do(r)
	require.NoError(t, err)
	defer stream.Body.Close()
	told, err := readAll(stream)
	require.NoError(t, err)
	assert.Contains(t, string(told), "web-0")
	door.shut.Store(true)
	s.consume(storetest.Machine(0).Levels(time.Now().Add(time.Minute).UnixNano()))
	rest, err := io.ReadAll(stream.Body)
	require.NoError(t, err, "the stream ends")
	assert.NotContains(t, string(rest), "web-0")
}

// Either of both says who somebody is: a key, or an authenticator of the collector.
func TestAuthenticatorBesideKeys(t *testing.T) {
	keys := newKeyFile(t)
	keys.add(t, apikey.Key{Name: "portal", UserID: "user-1"})
	id := component.MustNewID("tickets")
	with := func(c *Config) {
		c.ServerConfig.Auth = configoptional.Some(confighttp.AuthConfig{Config: configauth.Config{AuthenticatorID: id}})
		c.Principal.UserAttribute = "claims.uid"
		c.Principal.Admin.ConditionConfig = ConditionConfig{Attribute: "membership", Values: []string{"operators"}}
	}
	s := serveOn(t, asHost{id: tickets{}}, extensiontest.NewNopSettings(metadata.Type), keys.use, with)
	s.machines(3)
	see := func(header ...string) (int, int) {
		var page struct{ Instances []any }
		a := s.get(t, "/api/v1/usage/instances", header...)
		if a.StatusCode == 200 {
			a.decode(t, &page)
		}
		return a.StatusCode, len(page.Instances)
	}
	for _, tt := range []struct {
		header       []string
		status, sees int
	}{
		{keys.as("portal"), 200, 1},
		{[]string{"Authorization", "Ticket user-2"}, 200, 1},
		{[]string{"Authorization", "Ticket nobody"}, 200, 0},
		{[]string{"Authorization", "Ticket operator"}, 200, 3},
		{[]string{"Authorization", "Bearer x"}, 401, 0},
		{nil, 401, 0},
	} {
		status, sees := see(tt.header...)
		assert.Equal(t, tt.status, status, "%q", tt.header)
		assert.Equal(t, tt.sees, sees, "%q", tt.header)
	}
	assert.Equal(t, 403, s.send(t, http.MethodPost, "/api/v1/thresholds", "{}", "Authorization", "Ticket user-2").StatusCode, "unless configured, they only read")
	assert.Equal(t, []component.ID{id}, s.Dependencies())

	e, err := newExtension(extensiontest.NewNopSettings(metadata.Type), s.cfg)
	require.NoError(t, err)
	require.ErrorContains(t, e.Start(t.Context(), componenttest.NewNopHost()), `auth::authenticator is "tickets": `)
	require.NoError(t, e.Shutdown(t.Context()))
}

func TestTooMany(t *testing.T) {
	keys := newKeyFile(t)
	keys.add(t, apikey.Key{Name: "portal", UserID: "a"})
	s := serve(t, keys.use, func(c *Config) { c.RateLimits.PerPrincipal = RateConfig{Burst: 2, Every: time.Hour} })
	for range 2 {
		require.Equal(t, 200, s.get(t, "/api/v1/usage/instances", keys.as("portal")...).StatusCode)
	}
	a := s.get(t, "/api/v1/usage/instances", keys.as("portal")...)
	assert.Equal(t, 429, a.StatusCode)
	assert.Equal(t, "3600", a.Header.Get("Retry-After"))
	assert.NotEqual(t, 429, s.get(t, "/health").StatusCode)
}

// Who changed what, from where, and what became of it. No credential is in the log.
func TestAuditLog(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	set := extensiontest.NewNopSettings(metadata.Type)
	set.Logger = zap.New(core)
	keys := newKeyFile(t)
	keys.add(t, apikey.Key{Name: "portal", UserID: "a"})
	s := serveOn(t, componenttest.NewNopHost(), set, keys.use)
	a := s.send(t, http.MethodPost, "/api/v1/thresholds", `{"resource":"cpu","type":"percentage","warning":80,"selector":{"user_id":"a"}}`, keys.as("portal")...)
	require.Equal(t, 201, a.StatusCode, "%s", a.body)
	var rule struct{ ID string }
	a.decode(t, &rule)
	s.send(t, http.MethodPost, "/api/v1/thresholds", `{"resource":"cpu","type":"percentage","warning":80}`, keys.as("portal")...)
	s.send(t, http.MethodDelete, "/api/v1/thresholds/x", "", "Authorization", "Bearer "+keys.tokens["portal"][:50])
	s.get(t, "/api/v1/thresholds", keys.as("portal")...)

	id, _ := apikey.IDOf(keys.tokens["portal"])
	var got []map[string]any
	messages := map[string]bool{}
	for _, l := range logs.FilterLoggerName("audit").All() {
		messages[l.Message] = true
		m := l.ContextMap()
		delete(m, "error")
		got = append(got, m)
	}
	assert.Len(t, messages, 3, "none repeats: the collector would leave it out")
	portal := func(more map[string]any) map[string]any {
		m := map[string]any{
			"operation": "createThreshold", "method": "POST", "path": "/api/v1/thresholds", "from": "127.0.0.1",
			"principal": "portal", "principal_kind": "api_key", "principal_id": id, "user_id": "a", "org_id": "", "admin": false,
		}
		maps.Copy(m, more)
		return m
	}
	assert.Equal(t, []map[string]any{
		portal(map[string]any{"outcome": "done", "object": rule.ID}),
		portal(map[string]any{"outcome": "refused", "object": "", "status": int64(403)}),
		portal(map[string]any{
			"outcome": "refused", "object": "", "status": int64(401), "operation": "deleteThreshold", "method": "DELETE", "path": "/api/v1/thresholds/x",
			"principal": "", "principal_kind": "anonymous", "principal_id": "", "user_id": "",
		}),
	}, got)
	secret := keys.tokens["portal"][len(keys.tokens["portal"])-43:]
	for _, l := range logs.All() {
		text := fmt.Sprint(l.Message, l.ContextMap())
		assert.NotContains(t, text, secret[:20])
	}
}
