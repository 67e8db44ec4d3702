package access

import (
	"context"
	"net/http"
	"net/netip"
	"time"
)

// A Record is one change that somebody made or was refused.
type Record struct {
	Principal *Principal
	From      netip.Addr // zero where there is none
	Operation string     // of the route
	Method    string
	Path      string
	Object    string // what it is about, as the handler said; "" where it did not
	Err       error  // nil where it was done
}

// attempt is a request, and what is being recorded of it. It belongs to the goroutine of the request.
type attempt struct {
	Record

	// request is what an authenticator let in, and checked when; nil where none did.
	request *http.Request
	checked time.Time
}

// About says what a request changes, for the record of it.
func About(ctx context.Context, object string) {
	if a, ok := ctx.Value(attemptKey{}).(*attempt); ok {
		a.Object = object
	}
}
