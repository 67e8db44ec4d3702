package access

import (
	"context"
	"slices"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/route"
	"github.com/vmusage/otelcol-vmusage/internal/apikey"
)

// A Kind says how a principal came to be known.
type Kind string

// The kinds.
const (
	Anonymous     Kind = "anonymous" // nobody has to say who they are
	APIKey        Kind = "api_key"
	Authenticator Kind = "authenticator"
)

// A Principal is who asks. It never changes.
type Principal struct {
	// Kind and ID tell it from all others.
	Kind Kind
	ID   string
	// Name is for people; it need not be unique.
	Name string

	// UserID and OrgID are whose instances it sees; "" is nobody's. Admin sees all.
	UserID, OrgID string
	Admin         bool

	Scopes []route.Scope

	hash apikey.Hash // of the key, where it is one of a key
}

// who is what tells principals from each other.
type who struct {
	kind Kind
	id   string
}

func (p *Principal) who() who { return who{p.Kind, p.ID} }

// Known returns a text that tells a principal from all others; "" where nobody has to say
// who they are.
func (p *Principal) Known() string {
	if p.Kind == Anonymous {
		return ""
	}
	return string(p.Kind) + "/" + p.ID
}

// An Owner is who an instance belongs to. "" is nobody.
type Owner struct{ UserID, OrgID string }

// Nobody is the principal of a route that everybody may use, and of no request: it
// owns nothing.
func Nobody() *Principal { return &Principal{Kind: Anonymous} }

// Everybody is the principal where nobody has to say who they are: it may do all.
func Everybody() *Principal {
	return &Principal{Kind: Anonymous, Name: "anonymous", Admin: true, Scopes: AllScopes()}
}

// AllScopes returns all scopes that a principal may have.
func AllScopes() []route.Scope {
	return []route.Scope{route.ReadHealth, route.ReadThresholds, route.WriteThresholds, route.ReadUsage, route.ReadWebhooks, route.WriteWebhooks}
}

// May reports whether the principal has a scope.
func (p *Principal) May(s route.Scope) bool {
	return s == route.Public || slices.Contains(p.Scopes, s)
}

// An Ownership knows what belongs to whom. It is safe for concurrent use and answers
// without waiting: it is asked once for each instance.
type Ownership interface {
	// Owns reports whether what has that owner on its metrics is the principal's.
	Owns(p *Principal, on Owner) bool
}

// ByMetrics is the ownership that the metrics themselves tell.
type ByMetrics struct{}

// Owns compares ids. What nobody owns is nobody's.
func (ByMetrics) Owns(p *Principal, on Owner) bool {
	return p.UserID != "" && p.UserID == on.UserID || p.OrgID != "" && p.OrgID == on.OrgID
}

// MayRead reports whether the principal sees what has that owner. What it does not see
// does not exist for it.
func (p *Principal) MayRead(o Ownership, on Owner) bool {
	return p.Admin || o.Owns(p, on)
}

type attemptKey struct{}

// With returns a context of requests of p.
func With(ctx context.Context, p *Principal) context.Context {
	return context.WithValue(ctx, attemptKey{}, &attempt{Record: Record{Principal: p}})
}

// From returns whose request it is, Nobody where that was not found out.
func From(ctx context.Context) *Principal {
	if a, ok := ctx.Value(attemptKey{}).(*attempt); ok {
		return a.Principal
	}
	return Nobody()
}
