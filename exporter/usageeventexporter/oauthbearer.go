package usageeventexporter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"

	"github.com/IBM/sarama"
	"go.opentelemetry.io/collector/component"
	"golang.org/x/oauth2"
)

// errNoToken is the cause where no token could be had. Nobody but the operator
// can mend that, and until then Kafka cannot be reached.
var errNoToken = errors.New("no token for OAUTHBEARER")

// tokenLimit is the largest token, in bytes, that is looked at.
const tokenLimit = 64 << 10

// bearerToken is what RFC 6750, section 2.1, allows. Anything else would end the
// token early in the message of RFC 7628, or is no token at all, such as a page
// that a proxy answered with.
var bearerToken = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

// checkToken says that a token is none, without showing it.
func checkToken(token string) error {
	if bearerToken.MatchString(token) {
		return nil
	}
	return fmt.Errorf("it has %d bytes that are no bearer token: expected are letters, digits and - . _ ~ + / with = at the end", len(token))
}

// A tokenSource gets tokens for OAUTHBEARER (RFC 7628). It is safe for concurrent
// use. Its errors name the key at fault and hold no secret.
type tokenSource interface {
	// token returns a token that is valid now; it returns when ctx ends.
	token(ctx context.Context) (string, error)
	// rejected is told that the brokers refuse the last token.
	rejected()
}

// newTokenSource returns the source that s names, nil where the mechanism has none.
// timeout bounds an attempt to send, of which getting a token is a part.
func newTokenSource(ctx context.Context, s *SASLConfig, timeout time.Duration, host component.Host) (tokenSource, error) {
	switch {
	case s == nil || s.Mechanism != sarama.SASLTypeOAuth:
		return nil, nil
	case s.TokenFile != "":
		return tokenFile(s.TokenFile), nil
	case s.TokenSource.HasValue():
		return newTokenExtension(*s.TokenSource.Get(), host)
	default:
		return newClientCredentials(ctx, s.ClientCredentials.Get(), timeout)
	}
}

// saslTokens is what sarama asks while it connects. The token of a producer that
// is cut is not waited for.
type saslTokens struct {
	source     tokenSource
	extensions map[string]string
	line       *lifeline
	timeout    time.Duration
}

// Token implements sarama.AccessTokenProvider.
func (t *saslTokens) Token() (*sarama.AccessToken, error) {
	ctx, cancel := context.WithTimeout(t.line.ctx, t.timeout)
	defer cancel()
	token, err := t.source.token(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoToken, err)
	}
	return &sarama.AccessToken{Token: token, Extensions: t.extensions}, nil
}

// A tokenFile is the path of a file whose content is a token.
type tokenFile string

func (f tokenFile) token(context.Context) (string, error) {
	token, err := readSecret(string(f))
	if err != nil {
		return "", fmt.Errorf("auth::sasl::oauthbearer_token_file: %w", err)
	}
	if err := checkToken(token); err != nil {
		return "", fmt.Errorf("auth::sasl::oauthbearer_token_file: %s: %w", f, err)
	}
	return token, nil
}

func (tokenFile) rejected() {} // it is read each time

// readSecret returns the content of a file without the white space around it.
func readSecret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err // names the path
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, tokenLimit+1))
	if err != nil {
		return "", err
	}
	text := string(bytes.TrimSpace(data))
	if text == "" || len(data) > tokenLimit {
		return "", fmt.Errorf("%s is empty or has more than %d bytes", path, tokenLimit)
	}
	return text, nil
}

// A tokenExtension is an extension of the collector. It caches by itself.
type tokenExtension struct {
	id  component.ID
	get func(context.Context) (*oauth2.Token, error)
}

// newTokenExtension finds an extension that has one of the two methods by which
// the collector's extensions hand out tokens.
func newTokenExtension(id component.ID, host component.Host) (tokenSource, error) {
	var extension component.Component
	if host != nil {
		extension = host.GetExtensions()[id]
	}
	switch e := extension.(type) {
	case nil:
		return nil, fmt.Errorf("auth::sasl::oauthbearer_token_source: there is no extension %q: define it, and name it in service::extensions", id)
	case interface {
		Token(context.Context) (*oauth2.Token, error)
	}:
		return &tokenExtension{id, e.Token}, nil
	case interface {
		TokenSource(context.Context) (oauth2.TokenSource, error)
	}:
		return &tokenExtension{id, func(ctx context.Context) (*oauth2.Token, error) {
			// The source may keep this context for ever.
			source, err := e.TokenSource(context.WithoutCancel(ctx))
			if err != nil {
				return nil, err
			}
			return source.Token()
		}}, nil
	default:
		return nil, fmt.Errorf("auth::sasl::oauthbearer_token_source: the extension %q hands out no tokens: name one such as oauth2client", id)
	}
}

func (e *tokenExtension) token(ctx context.Context) (string, error) {
	type answer struct {
		token *oauth2.Token
		err   error
	}
	answered := make(chan answer, 1)
	go func() { // not all extensions obey ctx
		token, err := e.get(ctx)
		answered <- answer{token, err}
	}()
	var a answer
	select {
	case a = <-answered:
	case <-ctx.Done():
		a.err = context.Cause(ctx)
	}
	switch {
	case a.err != nil:
		return "", fmt.Errorf("auth::sasl::oauthbearer_token_source: the extension %q: %w", e.id, tokenError(a.err))
	case a.token == nil:
		return "", fmt.Errorf("auth::sasl::oauthbearer_token_source: the extension %q has no token", e.id)
	}
	if err := checkToken(a.token.AccessToken); err != nil {
		return "", fmt.Errorf("auth::sasl::oauthbearer_token_source: the extension %q: %w", e.id, err)
	}
	return a.token.AccessToken, nil
}

func (*tokenExtension) rejected() {} // it knows when a token ends
