package usageapiextension

import (
	"net/http"
	"slices"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/route"
)

// routes is all that can be asked.
func (e *usageAPI) routes() []route.Route {
	return slices.Concat(e.api.Routes(), e.thresholds().Routes(), e.hooks().Routes())
}

// handler returns the handler of the whole API, for those whom guard lets in.
func (e *usageAPI) handler(guard route.Guard) http.Handler {
	return route.New(e.routes(), e.served(guard), e.set.Logger)
}
