package thresholds

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/access"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
	"github.com/vmusage/otelcol-vmusage/internal/rulestore"
	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

// sees reports whether a rule is there for somebody: it is for nothing but what is
// theirs.
func sees(p *access.Principal, r *threshold.Rule) bool {
	return p.Admin ||
		p.UserID != "" && only(&r.Selector.UserID, p.UserID) ||
		p.OrgID != "" && only(&r.Selector.OrgID, p.OrgID)
}

// only reports whether values take one text and no other.
func only(v *threshold.Values, text string) bool {
	return len(v.Globs) == 0 && len(v.Exact) == 1 && v.Exact[0] == text
}

func authorOf(p *access.Principal) rulestore.Author {
	if p.Admin {
		return rulestore.Author{}
	}
	if p.UserID != "" {
		return rulestore.Author{UserID: p.UserID}
	}
	return rulestore.Author{OrgID: p.OrgID}
}

// confine refuses a rule that somebody may not write, who is no admin: one that is for
// more than what is theirs, or selects by labels of their own choice. A set of rules
// knows a bounded number of labels, all together.
func (a *API) confine(p *access.Principal, r *threshold.Rule) error {
	if p.Admin {
		return nil
	}
	if !sees(p, r) {
		e := problem.New(http.StatusForbidden, "a rule of yours is for what is yours, and for nothing else")
		switch {
		case p.UserID != "":
			e.Invalid = []problem.Invalid{{Pointer: "#/selector/user_id", Detail: fmt.Sprintf("must be %q and nothing else", p.UserID)}}
		case p.OrgID != "":
			e.Invalid = []problem.Invalid{{Pointer: "#/selector/org_id", Detail: fmt.Sprintf("must be %q and nothing else", p.OrgID)}}
		default:
			e.Detail = "you own nothing, so no rule can be for it"
		}
		return e
	}
	for i := range r.Selector.Labels {
		if key := r.Selector.Labels[i].Key; !slices.Contains(a.SelectorLabels, key) {
			e := problem.New(http.StatusForbidden, "a rule of yours may select by labels only where the operator allows it")
			e.Invalid = []problem.Invalid{{Pointer: pointer("selector.labels." + key), Detail: fmt.Sprintf("is none of the labels that are allowed: %q", a.SelectorLabels)}}
			return e
		}
	}
	return nil
}
