package access

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"time"

	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/extension/extensionauth"
)

// Authenticators are the ways to say who one is. Each may be absent; without any there
// is nobody to ask.
type Authenticators struct {
	Keys *Keyring
	// Server is an authenticator of the collector, Parameters are those of the query that
	// it takes for headers, and Mapping says who they are whom it lets in.
	Server     extensionauth.Server
	Parameters []string
	Mapping    Mapping
}

// none reports whether nobody can say who they are.
func (a *Authenticators) none() bool { return a.Keys == nil && a.Server == nil }

// key returns whose API key a request has. Where it has none, and something else may
// know who it is, it returns nil.
func (a *Authenticators) key(r *http.Request, now time.Time) (*Principal, error) {
	if a.Keys == nil {
		return nil, nil
	}
	token, err := keyIn(r.Header)
	switch {
	case err != nil:
		return nil, unknown(err)
	case token != "":
		return a.Keys.Principal(token, now)
	case a.Server != nil:
		return nil, nil
	case hasCredentials(r.Header):
		return nil, unknown(errors.New("it is no API key"))
	default:
		return nil, missing()
	}
}

// server returns whom the authenticator lets in, with the context that it makes.
func (a *Authenticators) server(r *http.Request) (*Principal, context.Context, error) {
	sources := r.Header
	query := r.URL.Query()
	for _, name := range a.Parameters {
		if values, ok := query[name]; ok {
			sources = maps.Clone(sources) // the request's own stays as it came
			sources[name] = values
		}
	}
	ctx, err := a.Server.Authenticate(r.Context(), sources)
	if err != nil {
		if !hasCredentials(r.Header) && len(sources) == len(r.Header) {
			return nil, nil, missing()
		}
		return nil, nil, unknown(err)
	}
	return a.Mapping.principal(client.FromContext(ctx).Auth), ctx, nil
}

func missing() refusal {
	return refusal{Missing, "say who you are: send an API key or a token, as Authorization: Bearer <it>", errors.New("there are no credentials")}
}
