package usageapiextension

import (
	"context"
	"net"
	"net/http"
	"strings"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/query"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/route"
)

// guard lets those use a route who may. Where nobody has to say who they are, that
// is everybody on this machine.
func (e *usageAPI) guard(_ route.Route, next route.Handler) route.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !e.cfg.authenticates() && !e.cfg.AllowUnauthenticated && !forThisMachine(r) {
			return problem.New(http.StatusMisdirectedRequest, "without authentication only the names and addresses of this machine itself are answered, and the request is for another host")
		}
		err := next(w, r)
		if err == nil {
			e.vitals.Served()
		}
		return err
	}
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
func (*usageAPI) mayRead(context.Context) query.Viewer {
	return func(string, string) bool { return true }
}
