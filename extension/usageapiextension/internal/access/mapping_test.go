package access

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/route"
)

// attributes is what an authenticator knows.
type attributes map[string]any

func (a attributes) GetAttribute(name string) any { return a[name] }

func (a attributes) GetAttributeNames() []string { return nil }

func TestMapping(t *testing.T) {
	m := Mapping{
		Name: "subject", User: "claims.uid", Org: "claims.org",
		OrgAdmin:   Condition{"membership", []string{"org-admins"}},
		Admin:      Condition{"membership", []string{"operators", "root"}},
		ScopesFrom: "claims.scope", Scopes: []route.Scope{route.ReadUsage},
	}
	for _, tt := range []struct {
		name string
		of   attributes
		want Principal
	}{
		{"nothing known", attributes{}, Principal{Scopes: []route.Scope{route.ReadUsage}}},
		{
			"user",
			attributes{"subject": "alice", "claims.uid": "a", "claims.org": "o", "membership": []string{"staff"}},
			Principal{ID: "alice", Name: "alice", UserID: "a", Scopes: []route.Scope{route.ReadUsage}},
		},
		{
			"of the organization",
			attributes{"subject": "bob", "claims.uid": "b", "claims.org": "o", "membership": []any{"org-admins", 7}},
			Principal{ID: "bob", Name: "bob", UserID: "b", OrgID: "o", Scopes: []route.Scope{route.ReadUsage}},
		},
		{
			"admin",
			attributes{"subject": "root", "membership": "operators"},
			Principal{ID: "root", Name: "root", Admin: true, Scopes: AllScopes()},
		},
		{
			"scopes",
			attributes{"claims.scope": "openid thresholds:write usage:read thresholds:write"},
			Principal{Scopes: []route.Scope{route.ReadUsage, route.WriteThresholds}},
		},
		{
			"a list of scopes",
			attributes{"claims.scope": []any{"health:read", "*"}},
			Principal{Scopes: []route.Scope{route.ReadUsage, route.ReadHealth}},
		},
		{"numbers", attributes{"claims.uid": float64(42), "subject": json.Number("7")}, Principal{ID: "7", Name: "7", UserID: "42", Scopes: []route.Scope{route.ReadUsage}}},
		{"numbers that are not exact", attributes{"claims.uid": float64(1 << 60)}, Principal{Scopes: []route.Scope{route.ReadUsage}}},
		{"fractions", attributes{"claims.uid": 1.5}, Principal{Scopes: []route.Scope{route.ReadUsage}}},
		{"one of several", attributes{"claims.uid": []string{"a", "b"}}, Principal{Scopes: []route.Scope{route.ReadUsage}}},
		{"a map", attributes{"claims.uid": map[string]any{"a": "b"}, "membership": map[string]any{"operators": true}}, Principal{Scopes: []route.Scope{route.ReadUsage}}},
	} {
		tt.want.Kind = Authenticator
		assert.Equal(t, &tt.want, m.principal(tt.of), tt.name)
	}
	assert.Equal(t, &Principal{Kind: Authenticator, Scopes: m.Scopes}, m.principal(nil), "an authenticator that tells nothing")

	m.OrgAdmin = Condition{}
	assert.Equal(t, "o", m.principal(attributes{"claims.org": "o"}).OrgID)
	assert.False(t, (&Mapping{Admin: Condition{"membership", nil}}).principal(attributes{"membership": ""}).Admin)
	assert.True(t, (&Mapping{EverybodyAdmin: true}).principal(nil).Admin)
}
