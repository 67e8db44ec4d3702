package usageeventexporter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configtls"
	"golang.org/x/oauth2"
)

// An issuer is a token endpoint.
type issuer struct {
	*httptest.Server

	mu       sync.Mutex
	requests []*http.Request // with their forms parsed
	answer   func(w http.ResponseWriter, n int)
}

func newIssuer(t *testing.T, answer func(w http.ResponseWriter, n int)) *issuer {
	t.Helper()
	i := &issuer{answer: answer}
	i.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		_ = r.ParseForm()
		i.requests = append(i.requests, r)
		n := len(i.requests)
		i.mu.Unlock()
		i.answer(w, n)
	}))
	i.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) asked() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.requests)
}

// issue answers with a token; expires in seconds, or 0 for not saying.
func issue(w http.ResponseWriter, token string, expires int) {
	w.Header().Set("Content-Type", "application/json")
	body := map[string]any{"access_token": token, "token_type": "Bearer"}
	if expires > 0 {
		body["expires_in"] = expires
	}
	_ = json.NewEncoder(w).Encode(body)
}

func (i *issuer) config(change func(*ClientCredentialsConfig)) ClientCredentialsConfig {
	c := *defaults(nil).Auth.SASL.GetOrInsertDefault().ClientCredentials.GetOrInsertDefault()
	c.TokenURL, c.ClientID, c.ClientSecret = i.URL+"/token", "meter", "client-secret-x"
	c.TLS = configtls.NewDefaultClientConfig()
	c.TLS.InsecureSkipVerify = true // httptest's own certificate
	if change != nil {
		change(&c)
	}
	return c
}

func (i *issuer) withCredentials(change func(*ClientCredentialsConfig)) func(*Config) {
	return withToken(func(s *SASLConfig) { s.ClientCredentials = configoptional.Some(i.config(change)) })
}

func TestClientCredentials(t *testing.T) {
	cluster := newTokenKafka(t, "token-1", "token-3")
	i := newIssuer(t, func(w http.ResponseWriter, n int) { issue(w, fmt.Sprintf("token-%d", n), 3600) })
	r := start(t, quick(cluster.ListenAddrs(), i.withCredentials(func(c *ClientCredentialsConfig) {
		c.Scopes = []string{"produce", "describe"}
		c.EndpointParams = map[string]configopaque.String{"audience": "kafka.example.com"}
	})))
	require.Zero(t, i.asked(), "not before there is something to send")
	require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(instances(1)...)))
	assert.Contains(t, cluster.last(t), "token-1")
	require.Equal(t, 1, i.asked(), "one for the connections to all brokers")
	got := i.requests[0]
	user, password, _ := got.BasicAuth()
	assert.Equal(t, "meter client-secret-x", user+" "+password)
	assert.Equal(t, "client_credentials", got.Form.Get("grant_type"))
	assert.Equal(t, "produce describe", got.Form.Get("scope"))
	assert.Equal(t, "kafka.example.com", got.Form.Get("audience"))

	r.renew()
	require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(instances(1)...)))
	require.Equal(t, 1, i.asked(), "it is good for an hour")

	// Revoked: the brokers refuse it, and so it is not used again.
	cluster.take("token-1", false)
	r.renew()
	err := r.ConsumeMetrics(t.Context(), usageOf(instances(1)...))
	require.ErrorContains(t, err, "the brokers reject auth::sasl")
	for range 2 { // token-2 is not known either
		err = r.ConsumeMetrics(t.Context(), usageOf(instances(1)...))
	}
	require.NoError(t, err)
	assert.Contains(t, cluster.last(t), "token-3")
	for _, line := range r.logs.All() {
		assert.NotRegexp(t, `token-\d|secret-x`, fmt.Sprint(line.Message, line.ContextMap()))
	}
}

// Each of the ways in which a token endpoint may fail is worth a retry, says what
// is wrong, and shows no secret.
func TestAnIssuerThatFails(t *testing.T) {
	const secret = "client-secret-x"
	for _, tt := range []struct {
		name   string
		answer func(w http.ResponseWriter, n int)
		change func(*ClientCredentialsConfig)
		want   []string
	}{
		{"down", func(http.ResponseWriter, int) {}, func(c *ClientCredentialsConfig) { c.TokenURL = "https://127.0.0.1:1/token?key=" + secret }, []string{"https://127.0.0.1:1/token gave no token", "connection refused"}},
		{"wrong secret", func(w http.ResponseWriter, _ int) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintf(w, `{"error":"invalid_client","error_description":"no client has the secret %s\nor so"}`, secret)
		}, nil, []string{"/token gave no token", "it answers 401 Unauthorized, invalid_client, no client has the secret [REDACTED] or so"}},
		{"a page", func(w http.ResponseWriter, _ int) {
			w.WriteHeader(http.StatusBadGateway)
			fmt.Fprint(w, "<html>", secret)
		}, nil, []string{"it answers 502 Bad Gateway"}},
		{"elsewhere", func(w http.ResponseWriter, _ int) {
			w.Header().Set("Location", "https://127.0.0.1:1/"+secret)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, nil, []string{"it answers 307 Temporary Redirect"}},
		{"nothing", func(w http.ResponseWriter, _ int) { fmt.Fprint(w, "{}") }, nil, []string{"missing access_token"}},
		{"no JSON", func(w http.ResponseWriter, _ int) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, "<", secret)
		}, nil, []string{"cannot parse json"}},
		{"no token that one could send", func(w http.ResponseWriter, _ int) { issue(w, secret+" \x01", 60) }, nil, []string{"no bearer token"}},
		{"unknown authority", nil, func(c *ClientCredentialsConfig) { c.TLS.InsecureSkipVerify = false }, []string{"certificate"}},
		{"no file", nil, func(c *ClientCredentialsConfig) { c.ClientSecret, c.ClientSecretFile = "", "/nowhere/secret" }, []string{"client_secret_file: open /nowhere/secret"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := newIssuer(t, tt.answer)
			cluster := newTokenKafka(t, "good")
			r := start(t, quick(cluster.ListenAddrs(), i.withCredentials(tt.change)))
			err := r.ConsumeMetrics(t.Context(), usageOf(instances(1)...))
			require.ErrorIs(t, err, errNoToken)
			require.False(t, isAnswer(err))
			for _, w := range append(tt.want, "auth::sasl") {
				require.ErrorContains(t, err, w)
			}
			assert.NotContains(t, err.Error(), secret)
			for _, line := range r.logs.All() {
				assert.NotContains(t, fmt.Sprint(line.Message, line.ContextMap()), secret)
			}
			i.answer = func(w http.ResponseWriter, _ int) { issue(w, "good", 60) }
			if tt.change == nil {
				require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(instances(1)...)))
			}
		})
	}
}

// silentIssuer accepts and never answers; reached has a value for each request.
func silentIssuer(t *testing.T) (i *issuer, reached chan struct{}) {
	t.Helper()
	silent := make(chan struct{})
	reached = make(chan struct{}, 8)
	i = newIssuer(t, func(http.ResponseWriter, int) { reached <- struct{}{}; <-silent })
	t.Cleanup(func() { close(silent) }) // before the issuer closes
	return i, reached
}

func TestASilentIssuerCostsItsTimeout(t *testing.T) {
	i, _ := silentIssuer(t)
	cluster := newTokenKafka(t, "good")
	r := start(t, quick(cluster.ListenAddrs(), i.withCredentials(func(c *ClientCredentialsConfig) { c.Timeout = 50 * time.Millisecond })))
	err := r.ConsumeMetrics(t.Context(), usageOf(instances(1)...))
	require.ErrorIs(t, err, errNoToken)
	require.ErrorContains(t, err, "no answer in time")
}

func TestShutdownDoesNotWaitForASilentIssuer(t *testing.T) {
	i, reached := silentIssuer(t)
	cluster := newTokenKafka(t, "good")
	r := start(t, quick(cluster.ListenAddrs(), func(c *Config) {
		i.withCredentials(func(c *ClientCredentialsConfig) { c.Timeout = time.Hour })(c)
		c.Timeout = time.Hour
	}))
	done := make(chan error, 1)
	go func() { done <- r.ConsumeMetrics(context.Background(), usageOf(instances(1)...)) }()
	<-reached
	require.NoError(t, r.Shutdown(context.Background()))
	require.Error(t, <-done)
}

// fakeIssuer answers without a network, so that time can be fake.
type fakeIssuer struct {
	asked   int
	err     error
	expires int
}

func (f *fakeIssuer) RoundTrip(*http.Request) (*http.Response, error) {
	f.asked++
	if f.err != nil {
		return nil, f.err
	}
	w := httptest.NewRecorder()
	issue(w, fmt.Sprintf("token-%d", f.asked), f.expires)
	return w.Result(), nil
}

func TestWhenATokenIsReplaced(t *testing.T) {
	for _, tt := range []struct {
		expires int // s
		fresh   time.Duration
	}{
		{3600, 55 * time.Minute}, // expiry_buffer before its end
		{60, 30 * time.Second},   // at most half of its life
		{0, 0},                   // nobody knows for how long: once
	} {
		t.Run(fmt.Sprint(tt.expires), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeIssuer{expires: tt.expires}
				c := credentials(t, f)
				token := func() string {
					s, err := c.token(t.Context())
					require.NoError(t, err)
					return s
				}
				require.Equal(t, "token-1", token())
				if tt.expires == 0 {
					require.Equal(t, "token-2", token())
					return
				}
				time.Sleep(tt.fresh - time.Millisecond)
				require.Equal(t, "token-1", token())
				time.Sleep(time.Millisecond)
				f.err = errors.New("down")
				require.Equal(t, "token-1", token(), "as long as it is good")
				require.Equal(t, 2, f.asked)
				f.err = nil
				require.Equal(t, "token-3", token())
				require.Equal(t, "token-3", token())
				c.rejected()
				require.Equal(t, "token-4", token())

				f.err = errors.New("down")
				time.Sleep(time.Duration(tt.expires) * time.Second)
				_, err := c.token(t.Context())
				require.ErrorContains(t, err, "down")
			})
		})
	}
}

func credentials(t *testing.T, rt http.RoundTripper) *clientCredentials {
	t.Helper()
	cfg := defaults(nil).Auth.SASL.GetOrInsertDefault().ClientCredentials.GetOrInsertDefault()
	cfg.TokenURL, cfg.ClientID, cfg.ClientSecret = "https://issuer.example.com/token", "meter", "x"
	s, err := newClientCredentials(context.Background(), cfg, time.Minute)
	require.NoError(t, err)
	c := s.(*clientCredentials)
	c.client.Transport = rt
	return c
}

// Many connections at once have one token between them.
func TestOneFetchAtATime(t *testing.T) {
	f := &fakeIssuer{expires: 3600}
	c := credentials(t, f)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			s, err := c.token(context.Background())
			assert.Equal(t, "token-1 <nil>", fmt.Sprint(s, " ", err))
		})
	}
	wg.Wait()
	require.Equal(t, 1, f.asked)

	c.rejected()
	c.turn <- struct{}{} // somebody fetches
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := c.token(ctx)
	require.ErrorIs(t, err, context.Canceled, "who waits for a turn gives up when told")
}

func TestASecretFileIsReadForEachToken(t *testing.T) {
	dir := t.TempDir()
	var secrets []string
	i := newIssuer(t, nil)
	i.answer = func(w http.ResponseWriter, n int) {
		_, password, _ := i.requests[n-1].BasicAuth()
		secrets = append(secrets, password)
		issue(w, "good", 0)
	}
	cfg := i.config(func(c *ClientCredentialsConfig) {
		c.ClientSecret, c.ClientSecretFile = "", write(t, dir, "secret", "one\n")
	})
	c, err := newClientCredentials(t.Context(), &cfg, time.Minute)
	require.NoError(t, err)
	for _, s := range []string{"one", "two"} {
		write(t, dir, "secret", s)
		_, err = c.token(t.Context())
		require.NoError(t, err)
	}
	assert.Equal(t, []string{"one", "two"}, secrets)
}

// Whatever a token endpoint says, a log gets one line of it without the secret.
func FuzzWhatAnEndpointSays(f *testing.F) {
	f.Add("invalid_client", "no such client", "secret")
	f.Add("", "the secret p%40ss+word is wrong\n\x1b[31m", "p@ss word")
	f.Add("\xff\x00", strings.Repeat("é", 300), "é")
	f.Fuzz(func(t *testing.T, code, description, secret string) {
		err := tokenError(&oauth2.RetrieveError{ErrorCode: code, ErrorDescription: description}, secret)
		text := err.Error()
		if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%q is not fit for a log", text)
		}
		if len(text) > 600 {
			t.Fatalf("%d bytes", len(text))
		}
		// Short ones are in our own words, too.
		if len(secret) > 12 && strings.Contains(text, secret) {
			t.Fatalf("%q shows %q", text, secret)
		}
	})
}
