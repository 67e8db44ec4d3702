package access

import (
	"context"
	"net/http"
	"time"
)

// againTimeout bounds how long an authenticator is waited for that is asked again.
const againTimeout = 10 * time.Second

// Now returns who the principal of a request that goes on is at a time: whoever it was, with
// what is known of it now, or Nobody where its credentials are not accepted any more. From
// then on it is the principal of the request. It is called by the goroutine of the request.
//
// A key is looked up, which costs nothing. An authenticator is asked again with the same
// request, at most once each Settings.Again: tokens expire, and who has left is turned away.
func (g *Guard) Now(ctx context.Context, now time.Time) *Principal {
	a, ok := ctx.Value(attemptKey{}).(*attempt)
	if !ok {
		return g.nobody
	}
	switch a.Principal.Kind {
	case APIKey:
		return g.Authenticators.Keys.Now(a.Principal, now)
	case Authenticator:
		if a.request != nil && now.Sub(a.checked) >= g.Again {
			a.checked = now
			a.Principal = g.again(ctx, a)
		}
	case Anonymous:
	}
	return a.Principal
}

func (g *Guard) again(ctx context.Context, a *attempt) *Principal {
	ctx, cancel := context.WithTimeout(ctx, againTimeout)
	defer cancel()
	p, _, err := g.Authenticators.server(a.request.WithContext(ctx))
	if err != nil || p.who() != a.Principal.who() {
		return g.nobody
	}
	return p
}

// remember keeps what an authenticator let in, so that it can be asked again.
func (a *attempt) remember(r *http.Request, now time.Time) { a.request, a.checked = r, now }
