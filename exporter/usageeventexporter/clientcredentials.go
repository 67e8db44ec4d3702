package usageeventexporter

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// clientCredentials gets tokens from a token endpoint and keeps each until
// shortly before its end. One without an end is used once.
type clientCredentials struct {
	cfg     *ClientCredentialsConfig
	timeout time.Duration // of one request
	client  *http.Client

	turn  chan struct{} // holds one while a token is fetched; guards fetch
	fetch clientcredentials.Config

	mu      sync.Mutex
	current *oauth2.Token
	replace time.Time // from when on current is to be replaced
}

// newClientCredentials returns a source; timeout is that of a whole attempt to send.
func newClientCredentials(ctx context.Context, cfg *ClientCredentialsConfig, timeout time.Duration) (tokenSource, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone() // with the proxy of the environment
	tlsConfig, err := cfg.TLS.LoadTLSConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("auth::sasl::oauthbearer_client_credentials::tls: %w", err)
	}
	transport.TLSClientConfig = tlsConfig
	transport.DisableKeepAlives = true // hours pass between two requests
	c := &clientCredentials{
		cfg: cfg, timeout: min(cfg.Timeout, partOf(timeout)), turn: make(chan struct{}, 1),
		client: &http.Client{
			Transport: transport,
			// Where to, the secret would go along.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		fetch: clientcredentials.Config{ClientID: cfg.ClientID, TokenURL: cfg.TokenURL, Scopes: cfg.Scopes, EndpointParams: url.Values{}},
	}
	for k, v := range cfg.EndpointParams {
		c.fetch.EndpointParams.Set(k, string(v))
	}
	return c, nil
}

func (c *clientCredentials) token(ctx context.Context) (string, error) {
	if t := c.cached(c.fresh); t != nil {
		return t.AccessToken, nil
	}
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return "", fmt.Errorf("auth::sasl::oauthbearer_client_credentials: %w", tokenError(context.Cause(ctx)))
	}
	if t := c.cached(c.fresh); t != nil { // fetched while this waited for its turn
		return t.AccessToken, nil
	}
	token, err := c.request(ctx)
	if err != nil {
		if t := c.cached((*oauth2.Token).Valid); t != nil { // a while is left of it
			return t.AccessToken, nil
		}
		return "", fmt.Errorf("auth::sasl::oauthbearer_client_credentials: %s gave no token: %w", endpointOf(c.cfg.TokenURL), err)
	}
	c.keep(token)
	return token.AccessToken, nil
}

// request asks for a token; the caller has its turn.
func (c *clientCredentials) request(ctx context.Context) (*oauth2.Token, error) {
	secret := string(c.cfg.ClientSecret)
	if c.cfg.ClientSecretFile != "" {
		var err error
		if secret, err = readSecret(c.cfg.ClientSecretFile); err != nil {
			return nil, fmt.Errorf("client_secret_file: %w", err)
		}
	}
	c.fetch.ClientSecret = secret
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	token, err := c.fetch.Token(context.WithValue(ctx, oauth2.HTTPClient, c.client))
	if err != nil {
		return nil, tokenError(err, append(c.secrets(), secret)...)
	}
	if err := checkToken(token.AccessToken); err != nil {
		return nil, fmt.Errorf("what it answers: %w", err)
	}
	return token, nil
}

// secrets are values that no error may repeat.
func (c *clientCredentials) secrets() []string {
	var out []string
	for _, v := range c.cfg.EndpointParams {
		out = append(out, string(v))
	}
	return out
}

func (c *clientCredentials) cached(good func(*oauth2.Token) bool) *oauth2.Token {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil || !good(c.current) {
		return nil
	}
	return c.current
}

// fresh is for cached.
func (c *clientCredentials) fresh(*oauth2.Token) bool { return time.Now().Before(c.replace) }

func (c *clientCredentials) keep(t *oauth2.Token) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = nil
	if left := time.Until(t.Expiry); !t.Expiry.IsZero() && left > 0 {
		c.current, c.replace = t, t.Expiry.Add(-min(c.cfg.ExpiryBuffer, left/2))
	}
}

// rejected makes the next token a new one: this one was revoked, or signed with
// a key that is no more.
func (c *clientCredentials) rejected() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = nil
}

// endpointOf returns a URL without what may be secret in it.
func endpointOf(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "the token endpoint"
	}
	return u.Scheme + "://" + u.Host + u.Path
}

// tokenError returns err without the URL and the body that may be in it, and
// without any of the secrets.
func tokenError(err error, secrets ...string) error {
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		var said []string
		if refused.Response != nil {
			said = append(said, refused.Response.Status)
		}
		for _, part := range []string{refused.ErrorCode, refused.ErrorDescription} {
			if part = printable(part, secrets); part != "" {
				said = append(said, part)
			}
		}
		return errors.New("it answers " + strings.Join(said, ", "))
	}
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err // the URL is said elsewhere
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	if hidden := hide(err.Error(), secrets); hidden != err.Error() {
		return errors.New(hidden)
	}
	return err
}

// printable returns what somebody else wrote, fit for a log: one line, at most
// 256 bytes, and none of the secrets.
func printable(s string, secrets []string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, hide(s, secrets))
	return strings.TrimSpace(strings.ToValidUTF8(s[:min(len(s), 256)], ""))
}

func hide(s string, secrets []string) string {
	for _, secret := range secrets {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "[REDACTED]")
			s = strings.ReplaceAll(s, url.QueryEscape(secret), "[REDACTED]")
		}
	}
	return s
}
