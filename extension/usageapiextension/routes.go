package usageapiextension

import (
	"net/http"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/route"
)

// routes is all that can be asked.
func (e *usageAPI) routes() []route.Route {
	return e.api.Routes()
}

// handler returns the handler of the whole API.
func (e *usageAPI) handler() http.Handler {
	return route.New(e.routes(), e.guard, e.set.Logger)
}
