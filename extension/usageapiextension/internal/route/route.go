// Package route is the table of an HTTP API: what can be asked, and what one has to
// be allowed to ask it.
package route

import (
	"net/http"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
)

// A Scope is what a principal has to be allowed to use a route.
type Scope string

// The scopes.
const (
	Public          Scope = "" // everybody, also without saying who
	ReadUsage       Scope = "usage:read"
	ReadHealth      Scope = "health:read"
	ReadThresholds  Scope = "thresholds:read"
	WriteThresholds Scope = "thresholds:write"
	ReadWebhooks    Scope = "webhooks:read"
	WriteWebhooks   Scope = "webhooks:write"
)

// A Handler answers, or returns the error to answer with, and then has written
// nothing.
type Handler func(w http.ResponseWriter, r *http.Request) error

// A Route is one operation of the API.
type Route struct {
	Method  string // one: GET answers HEAD, too
	Pattern string // as [http.ServeMux] has it, without the method
	// Operation names it in the OpenAPI document, which describes it.
	Operation string
	Scope     Scope
	Handler   Handler
}

// A Guard returns the handler of a route for those who may use it. What it
// refuses it returns as an error.
type Guard func(Route, Handler) Handler

// New returns the handler of all routes. Each error is written as problem details.
func New(routes []Route, guard Guard, logger *zap.Logger) http.Handler {
	mux := http.NewServeMux()
	methods := map[string][]string{}
	for _, r := range routes {
		mux.Handle(r.Method+" "+r.Pattern, written(guard(r, r.Handler), logger))
		methods[r.Pattern] = append(methods[r.Pattern], r.Method)
		if r.Method == http.MethodGet {
			methods[r.Pattern] = append(methods[r.Pattern], http.MethodHead)
		}
	}
	for pattern, allowed := range methods {
		slices.Sort(allowed)
		allow := strings.Join(allowed, ", ")
		mux.Handle(pattern, written(func(http.ResponseWriter, *http.Request) error {
			return problem.New(http.StatusMethodNotAllowed, "use %s here", allow).With("Allow", allow)
		}, logger))
	}
	mux.Handle("/", written(func(http.ResponseWriter, *http.Request) error {
		return problem.NotFound("resource: /api/v1/docs has those that there are")
	}, logger))
	return mux
}

func written(h Handler, logger *zap.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			problem.Write(w, r, logger, err)
		}
	})
}
