package access

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/route"
)

// Settings are what a [Guard] is made of.
type Settings struct {
	Authenticators Authenticators
	Limits         Limits
	Proxies        Proxies
	// Again is how often an authenticator is asked again at most, see [Guard.Now].
	Again time.Duration
	// Anybody is asked where nobody has to say who they are: its error refuses a request.
	Anybody func(r *http.Request) error
	// Audit is told of each change, done or refused; nil where nobody wants to know.
	Audit func(Record)
	// Refused is told of each request that was refused; nil as above.
	Refused func(context.Context, Reason)
}

// Limits are how often something may happen. They are by address where it is not said
// otherwise: of IPv6, by network of 64 bits.
type Limits struct {
	PerPrincipal, PerAddress Rate
	// FailedLogins are credentials that are none.
	FailedLogins Rate
}

// A Guard lets those use a route who may. It is safe for concurrent use.
type Guard struct {
	Settings

	nobody, everybody *Principal

	principals *buckets[who]
	addresses  *buckets[netip.Addr]
	failures   *buckets[netip.Addr]
}

// remembered is of how many principals, and addresses, a limit knows the past.
const remembered = 16_384

// NewGuard returns a guard.
func NewGuard(s Settings) *Guard {
	return &Guard{
		Settings: s,
		nobody:   Nobody(), everybody: Everybody(),
		principals: newBuckets[who](s.Limits.PerPrincipal, remembered),
		addresses:  newBuckets[netip.Addr](s.Limits.PerAddress, remembered),
		failures:   newBuckets[netip.Addr](s.Limits.FailedLogins, remembered),
	}
}

// Guard returns the handler of a route for those who may use it. See [route.Guard].
// The context of the requests that it lets through has their principal.
func (g *Guard) Guard(to route.Route, next route.Handler) route.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		from := g.Proxies.addressOf(r)
		a := &attempt{Record: Record{Principal: g.nobody, From: from, Operation: to.Operation, Method: r.Method, Path: r.URL.Path}}
		ctx, err := g.admit(to, r, a)
		if err == nil {
			err = next(w, r.WithContext(context.WithValue(ctx, attemptKey{}, a)))
		}
		if g.Audit != nil && changes(r.Method) {
			a.Err = err
			g.Audit(a.Record)
		}
		return err
	}
}

// admit returns the context of a request that may go on, and notes whose it is.
func (g *Guard) admit(to route.Route, r *http.Request, a *attempt) (context.Context, error) {
	now, from := time.Now(), neighborhood(a.From)
	if wait, ok := g.addresses.take(from, now); !ok {
		return nil, g.slow(r, Address, "too many requests from your address", wait)
	}
	if to.Scope == route.Public {
		return r.Context(), g.anybody(r)
	}
	p, ctx, err := g.identify(r, from, now)
	if err != nil {
		return nil, err
	}
	a.Principal = p
	if p.Kind == Authenticator {
		a.remember(r, now)
	}
	if p.Kind != Anonymous {
		if wait, ok := g.principals.take(p.who(), now); !ok {
			return nil, g.slow(r, TooMany, "you send too many requests", wait)
		}
	}
	if !p.May(to.Scope) {
		g.refused(r, Scope)
		return nil, problem.New(http.StatusForbidden, "that needs the scope %s, which you do not have", to.Scope).
			With("WWW-Authenticate", fmt.Sprintf(`Bearer realm="usage_api", error="insufficient_scope", scope=%q`, to.Scope))
	}
	return ctx, nil
}

func (g *Guard) anybody(r *http.Request) error {
	if !g.Authenticators.none() || g.Anybody == nil {
		return nil
	}
	err := g.Anybody(r)
	if err != nil {
		g.refused(r, Host)
	}
	return err
}

// identify finds out whose request it is.
//
// An API key is tried in any case: nobody guesses one, and who has a good one is not
// locked out by a neighbor who fails. What an authenticator checks may be guessed and
// may be costly: after too many failures it is not asked.
func (g *Guard) identify(r *http.Request, from netip.Addr, now time.Time) (*Principal, context.Context, error) {
	if g.Authenticators.none() {
		return g.everybody, r.Context(), g.anybody(r)
	}
	p, err := g.Authenticators.key(r, now)
	ctx := r.Context()
	if p == nil && err == nil {
		if wait, ok := g.failures.peek(from, now); !ok {
			return nil, nil, g.slow(r, Failures, tooManyFailures, wait)
		}
		p, ctx, err = g.Authenticators.server(r)
	}
	if err == nil {
		return p, ctx, nil
	}
	why, ok := errors.AsType[refusal](err)
	if !ok {
		return nil, nil, err
	}
	challenge := `Bearer realm="usage_api"`
	if why.reason != Missing {
		challenge += `, error="invalid_token"`
		if wait, ok := g.failures.take(from, now); !ok {
			return nil, nil, g.slow(r, Failures, tooManyFailures, wait)
		}
	}
	g.refused(r, why.reason)
	return nil, nil, problem.New(http.StatusUnauthorized, "%s", why.detail).With("WWW-Authenticate", challenge).Because(why)
}

const tooManyFailures = "too many failed logins from your address"

func (g *Guard) slow(r *http.Request, why Reason, detail string, wait time.Duration) error {
	g.refused(r, why)
	return problem.New(http.StatusTooManyRequests, "%s: try again later", detail).RetryAfter(wait)
}

func (g *Guard) refused(r *http.Request, why Reason) {
	if g.Refused != nil {
		g.Refused(r.Context(), why)
	}
}

// changes reports whether a method may change something (RFC 9110, 9.2.1).
func changes(method string) bool {
	return !strings.Contains(" GET HEAD OPTIONS TRACE ", " "+method+" ")
}
