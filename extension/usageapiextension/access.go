package usageapiextension

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/access"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/query"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/route"
)

// askAgain is how often an authenticator is asked at most whether a stream may go on.
const askAgain = time.Minute

// admission returns what lets those use a route who may, and begins to follow the file
// of keys, until running ends.
func (e *usageAPI) admission(ctx, running context.Context, host component.Host) (*access.Guard, error) {
	proxies, err := e.cfg.proxies()
	if err != nil {
		return nil, err
	}
	s := access.Settings{
		Again: askAgain, Limits: e.cfg.RateLimits.limits(), Proxies: proxies, Anybody: e.anybody, Audit: e.audit,
		Refused: func(ctx context.Context, why access.Reason) {
			e.telemetry.builder.ExtensionUsageAPIRefusals.Add(ctx, 1, with("reason", string(why)))
		},
	}
	if auth := e.cfg.ServerConfig.Auth.Get(); auth != nil {
		s.Authenticators.Server, err = auth.Config.GetServerAuthenticator(ctx, host.GetExtensions())
		if err != nil {
			return nil, fmt.Errorf("auth::authenticator is %q: %w; name an authenticator that is listed in service::extensions", auth.Config.AuthenticatorID, err)
		}
		s.Authenticators.Parameters, s.Authenticators.Mapping = auth.RequestParameters, e.cfg.Principal.mapping()
	}
	if keys := e.cfg.APIKeys.Get(); keys != nil {
		s.Authenticators.Keys = e.keys
		e.follow(running, keys)
	}
	return access.NewGuard(s), nil
}

// follow takes the keys of the file, and of each change of it, until ctx ends. It
// returns when it looked for the first time. A file that is not in order keeps nobody
// from metering: without keys the API lets nobody in.
func (e *usageAPI) follow(ctx context.Context, c *APIKeysConfig) {
	looked := make(chan struct{})
	once := sync.OnceFunc(func() { close(looked) })
	told := func(err error) {
		if err != nil {
			e.telemetry.builder.ExtensionUsageAPIKeyLoadErrors.Add(ctx, 1)
			err = fmt.Errorf("%w; the keys that were last in order stay valid, %d of them", err, e.keys.Len())
		}
		e.health.Report("reading API keys", err)
		once()
	}
	e.running.Go(func() { e.keys.Follow(ctx, c.File, c.Interval, told) })
	<-looked
}

// served notes that a route was answered.
func (e *usageAPI) served(next route.Guard) route.Guard {
	return func(to route.Route, h route.Handler) route.Handler {
		h = next(to, h)
		return func(w http.ResponseWriter, r *http.Request) error {
			err := h(w, r)
			if err == nil {
				e.vitals.Served()
			}
			return err
		}
	}
}

// anybody refuses a request where nobody has to say who they are, and it may not be
// meant for this API.
func (e *usageAPI) anybody(r *http.Request) error {
	if !e.cfg.AllowUnauthenticated && !forThisMachine(r) {
		return problem.New(http.StatusMisdirectedRequest, "without authentication only the names and addresses of this machine itself are answered, and the request is for another host")
	}
	return nil
}

// forThisMachine reports whether a request names this machine itself. A page in a
// browser here that has its own name resolve to 127.0.0.1 does not (DNS rebinding).
func forThisMachine(r *http.Request) bool {
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && addr.Network() == "unix" {
		return true
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return isLoopback(strings.Trim(host, "[]"))
}

// mayRead returns who sees what: whether the principal of a request sees the instances
// of an owner. What one does not see does not exist.
func (e *usageAPI) mayRead(ctx context.Context) query.Viewer {
	p := e.keys.Now(access.From(ctx), time.Now())
	return func(user, org string) bool {
		return p.MayRead(access.ByMetrics{}, access.Owner{UserID: user, OrgID: org})
	}
}

// mayFollow reports whether the principal of a request may still read usage: a key that
// was revoked or has expired, and a token that an authenticator no longer accepts, end the
// streams that they opened.
func (e *usageAPI) mayFollow(ctx context.Context) bool {
	return e.guard.Now(ctx, time.Now()).May(route.ReadUsage)
}
