package access

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/collector/client"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/route"
)

// A Mapping says who somebody is by what an authenticator knows of them.
type Mapping struct {
	// Name is the attribute that names them; it tells them from others.
	Name string
	// User and Org are the attributes that say whose instances they see; "" for none.
	User, Org string
	// OrgAdmin says who sees all of Org; where it is not set, all who have Org do.
	OrgAdmin Condition
	// Admin says who sees everything, and may do everything.
	Admin Condition
	// ScopesFrom is the attribute that lists scopes, in a list or a text with spaces; ""
	// where it does not say. Scopes are what everybody may do besides.
	ScopesFrom string
	Scopes     []route.Scope
	// EverybodyAdmin is for authenticators that know nothing of who somebody is.
	EverybodyAdmin bool
}

// A Condition is that an attribute has one of some values. The zero one never holds.
type Condition struct {
	Attribute string
	Values    []string
}

func (c Condition) set() bool { return c.Attribute != "" }

func (c Condition) holds(of client.AuthData) bool {
	return c.set() && slices.ContainsFunc(texts(get(of, c.Attribute)), func(v string) bool { return slices.Contains(c.Values, v) })
}

// principal returns who an authenticator let in. of may be nil.
func (m *Mapping) principal(of client.AuthData) *Principal {
	p := &Principal{Kind: Authenticator, ID: text(get(of, m.Name)), UserID: text(get(of, m.User)), Scopes: slices.Clone(m.Scopes)}
	p.Name = p.ID
	if !m.OrgAdmin.set() || m.OrgAdmin.holds(of) {
		p.OrgID = text(get(of, m.Org))
	}
	if m.EverybodyAdmin || m.Admin.holds(of) {
		p.Admin, p.Scopes = true, AllScopes()
		return p
	}
	for _, s := range texts(get(of, m.ScopesFrom)) {
		for s := range strings.FieldsSeq(s) {
			if scope := route.Scope(s); slices.Contains(AllScopes(), scope) && !p.May(scope) {
				p.Scopes = append(p.Scopes, scope)
			}
		}
	}
	return p
}

func get(of client.AuthData, attribute string) any {
	if of == nil || attribute == "" {
		return nil
	}
	return of.GetAttribute(attribute)
}

// text returns the one text that an attribute has, "" where it has none or several.
func text(value any) string {
	if all := texts(value); len(all) == 1 {
		return all[0]
	}
	return ""
}

// texts returns the texts of an attribute: authenticators have texts, lists of them, and
// what JSON has. Of numbers only whole ones are taken that a float64 holds exactly: two
// ids must not become one.
func texts(value any) []string {
	switch v := value.(type) {
	case string:
		return []string{v}
	case json.Number:
		return []string{v.String()}
	case []string:
		return v
	case float64:
		const exact = 1 << 53
		if v >= -exact && v <= exact && v == float64(int64(v)) {
			return []string{strconv.FormatInt(int64(v), 10)}
		}
		return nil
	case []any:
		var all []string
		for _, item := range v {
			if s, ok := item.(string); ok {
				all = append(all, s)
			}
		}
		return all
	default:
		return nil
	}
}
