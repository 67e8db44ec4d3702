package hooks

import (
	"net/http"
	"strconv"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/access"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/resource"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
)

// ownerOf returns whose the webhooks of a principal are; the zero one for who owns nothing.
// What an admin registers is any admin's.
func ownerOf(p *access.Principal) webhook.Owner {
	if p.Admin {
		return webhook.Owner{Admin: true}
	}
	return webhook.Owner{UserID: p.UserID, OrgID: p.OrgID}
}

// sees reports whether a webhook is there for somebody.
func sees(p *access.Principal, v *webhook.View) bool { return ownerOf(p).Manages(v.Owner) }

// confine refuses filters by somebody, who is no admin, that name another user or organization than the
// one that owns the webhook, where it could hear of no other: they would keep everything from it. It goes by nothing but who
// that is: there is no telling whether the others exist. Where the owner is an organization, all users may be of it.
func confine(p *access.Principal, o webhook.Owner, c *change) error {
	if p.Admin || c.filters == nil {
		return nil
	}
	e := problem.New(http.StatusForbidden, "a webhook of yours hears of what is yours, and of nothing else")
	check := func(key, own string, ids []string) {
		for i, id := range ids {
			if id != own {
				e.Invalid = append(e.Invalid, problem.Invalid{Pointer: resource.Pointer("filters", key, strconv.Itoa(i)), Detail: "must be " + quote(own) + ", or be left out"})
			}
		}
	}
	if o.OrgID == "" {
		check(keyUsers, o.UserID, c.filters.users.values)
	}
	if o.UserID == "" {
		check(keyOrgs, o.OrgID, c.filters.orgs.values)
	}
	if len(e.Invalid) > 0 {
		return e
	}
	return nil
}
