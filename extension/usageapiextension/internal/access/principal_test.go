package access

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/route"
	"github.com/vmusage/otelcol-vmusage/internal/apikey"
)

func TestMayRead(t *testing.T) {
	userA, orgA := &Principal{UserID: "a"}, &Principal{OrgID: "a"}
	both := &Principal{UserID: "a", OrgID: "o"}
	for _, tt := range []struct {
		name string
		p    *Principal
		on   Owner
		want bool
	}{
		{"own", userA, Owner{"a", "o"}, true},
		{"another user's", userA, Owner{"b", "o"}, false},
		{"an organization of the same name", userA, Owner{"b", "a"}, false},
		{"nobody's", userA, Owner{}, false},
		{"of the organization", orgA, Owner{"b", "a"}, true},
		{"of a user of the same name", orgA, Owner{"a", "o"}, false},
		{"of the user, elsewhere", both, Owner{"a", "x"}, true},
		{"of another user, in the organization", both, Owner{"b", "o"}, true},
		{"of neither", both, Owner{"b", "x"}, false},
		{"nobody sees what nobody owns", Nobody(), Owner{}, false},
		{"without an owner of one's own", &Principal{Kind: Authenticator, Name: "x"}, Owner{"", "o"}, false},
		{"admin", &Principal{Admin: true}, Owner{}, true},
		{"where nobody is asked", Everybody(), Owner{"a", ""}, true},
	} {
		assert.Equal(t, tt.want, tt.p.MayRead(ByMetrics{}, tt.on), tt.name)
	}
}

func TestContext(t *testing.T) {
	assert.Equal(t, Nobody(), From(t.Context()))
	p := &Principal{UserID: "a"}
	assert.Same(t, p, From(With(t.Context(), p)))
}

func TestScopes(t *testing.T) {
	p := &Principal{Scopes: []route.Scope{route.ReadUsage}}
	assert.True(t, p.May(route.ReadUsage))
	assert.False(t, p.May(route.WriteThresholds))
	assert.True(t, Nobody().May(route.Public))
	assert.False(t, Nobody().May(route.ReadHealth))

	var all []string
	for _, s := range AllScopes() {
		all = append(all, string(s))
	}
	assert.Equal(t, apikey.Scopes(), all, "keys may have each scope of a route")
}
