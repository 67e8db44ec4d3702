// Package api is what the HTTP API answers about usage and health.
package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/openapi"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/query"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/route"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/vitals"
)

// API answers from what is in the store. It is safe for concurrent use.
type API struct {
	settings Settings
	clients  *clients // that follow
	process  string   // tells the versions of this process from those of others
	reuse    reuse
}

// Settings of an API.
type Settings struct {
	Store    *store.Store
	Vitals   *vitals.Vitals
	Document *openapi.Document
	// Viewer returns what the principal of a request sees. It is asked anew for each
	// answer, and for each event of a stream.
	Viewer func(context.Context) query.Viewer
	// Principal tells from all others who sends a request; "" is nobody, whom
	// MaxClientsPerPrincipal does not count. nil is nobody ever.
	Principal func(context.Context) string
	// Allowed reports whether a request may go on that was let in: it is asked while a
	// stream lasts. nil allows all.
	Allowed func(context.Context) bool
	Stream  Stream
	// Ended is told why a stream ended.
	Ended func(context.Context, End)
}

// Stream bounds those who follow changes.
type Stream struct {
	MaxClients             int
	MaxClientsPerPrincipal int           // below 1 is no limit
	Interval               time.Duration // between two looks at what changed
	WriteTimeout           time.Duration // for what is written at once
}

// New returns an API.
func New(s Settings) *API {
	return &API{
		settings: s, clients: newClients(s.Stream),
		process: strings.ReplaceAll(uuid.New().String(), "-", ""),
	}
}

// Routes are what can be asked.
func (a *API) Routes() []route.Route {
	get := func(pattern, operation string, scope route.Scope, h route.Handler) route.Route {
		return route.Route{Method: http.MethodGet, Pattern: pattern, Operation: operation, Scope: scope, Handler: h}
	}
	return []route.Route{
		get("/get", "getMachine", route.ReadUsage, a.machine),
		get("/health", "getHealth", route.Public, a.health),
		get("/api/v1/health/status", "getHealthStatus", route.ReadHealth, a.healthStatus),
		get("/api/v1/usage/instances", "listInstances", route.ReadUsage, a.instances),
		get("/api/v1/usage/instances/{id}/current", "getInstance", route.ReadUsage, a.instance),
		get("/api/v1/usage/users/{id}/current", "getUser", route.ReadUsage, a.owner("user")),
		get("/api/v1/usage/orgs/{id}/current", "getOrganization", route.ReadUsage, a.owner("org")),
		get("/api/v1/usage/stream", "streamInstances", route.ReadUsage, a.stream),
		get("/api/v1/openapi.json", "getDocument", route.Public, a.document),
		get("/api/v1/docs", "getDocs", route.Public, a.docs),
	}
}

// Respond answers with a body, compressed where the client accepts that, or with 304 where
// it is the one that the client has.
func (a *API) Respond(w http.ResponseWriter, r *http.Request, contentType string, body []byte) {
	a.reuse.respond(w, r, contentType, body)
}

// Clients is how many follow changes.
func (a *API) Clients() int { return a.clients.len() }
