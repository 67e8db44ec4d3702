// Package thresholds is the endpoints that write threshold rules: those of an admin, and
// those of users and organizations about what is their own.
package thresholds

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/access"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/resource"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/route"
	"github.com/vmusage/otelcol-vmusage/internal/rulestore"
	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

// Path is where the rules are.
const Path = "/api/v1/thresholds"

// API is the endpoints.
type API struct {
	Store *rulestore.Store
	// Options say which rules are right.
	Options threshold.Options
	// SelectorLabels are the labels by which those may select who are no admins.
	SelectorLabels []string
	// Respond answers with a body whose ETag is that of its content.
	Respond func(w http.ResponseWriter, r *http.Request, contentType string, body []byte)
}

// Routes returns them.
func (a *API) Routes() []route.Route {
	one := Path + "/{id}"
	return []route.Route{
		{Method: http.MethodGet, Pattern: Path, Operation: "listThresholds", Scope: route.ReadThresholds, Handler: a.list},
		{Method: http.MethodPost, Pattern: Path, Operation: "createThreshold", Scope: route.WriteThresholds, Handler: a.create},
		{Method: http.MethodGet, Pattern: one, Operation: "getThreshold", Scope: route.ReadThresholds, Handler: a.get},
		{Method: http.MethodPut, Pattern: one, Operation: "replaceThreshold", Scope: route.WriteThresholds, Handler: a.replace},
		{Method: http.MethodDelete, Pattern: one, Operation: "deleteThreshold", Scope: route.WriteThresholds, Handler: a.remove},
	}
}

func (a *API) get(w http.ResponseWriter, r *http.Request) error {
	e, err := a.find(r)
	if err != nil {
		return err
	}
	if resource.NotModified(w, r, resource.Tag(e.Version)) {
		return nil
	}
	return write(w, http.StatusOK, e.Version, e.Rule)
}

func (a *API) create(w http.ResponseWriter, r *http.Request) error {
	p := access.From(r.Context())
	body, err := read(w, r)
	if err != nil {
		return err
	}
	switch {
	case !body.hasID:
		body.setID(uuid.NewString())
	case !p.Admin:
		// Ids are everybody's: one that is taken would tell what others have.
		return invalid(problem.Invalid{Pointer: "#/id", Detail: "is given by the server: leave it out"})
	}
	rule, err := a.rule(p, body)
	if err != nil {
		return err
	}
	if rule.ID == "." || rule.ID == ".." {
		return invalid(problem.Invalid{Pointer: "#/id", Detail: "must not be . or ..: no URL leads there"})
	}
	access.About(r.Context(), rule.ID)
	version, err := a.Store.Put(r.Context(), rule, rulestore.Absent, authorOf(p))
	if errors.Is(err, rulestore.ErrConflict) {
		return problem.New(http.StatusConflict, "there is a rule with the id %q: replace it, or choose another one", rule.ID)
	}
	if err != nil {
		return refusal(err)
	}
	w.Header().Set("Location", Path+"/"+url.PathEscape(rule.ID))
	return write(w, http.StatusCreated, version, rule)
}

func (a *API) replace(w http.ResponseWriter, r *http.Request) error {
	e, err := a.change(r)
	if err != nil {
		return err
	}
	body, err := read(w, r)
	if err != nil {
		return err
	}
	if !body.hasID {
		body.setID(e.Rule.ID)
	}
	p := access.From(r.Context())
	rule, err := a.rule(p, body)
	if err != nil {
		return err
	}
	if rule.ID != e.Rule.ID {
		return invalid(problem.Invalid{Pointer: "#/id", Detail: "must be the id in the path, or be left out"})
	}
	version, err := a.Store.Put(r.Context(), rule, e.Version, authorOf(p))
	if err != nil {
		return refusal(err)
	}
	return write(w, http.StatusOK, version, rule)
}

func (a *API) remove(w http.ResponseWriter, r *http.Request) error {
	e, err := a.change(r)
	if err != nil {
		return err
	}
	if err := a.Store.Delete(r.Context(), e.Rule.ID, e.Version); err != nil {
		return refusal(err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// find returns the rule of the path, if it is there for who asks.
func (a *API) find(r *http.Request) (rulestore.Entry, error) {
	id := r.PathValue("id")
	access.About(r.Context(), id)
	e, err := a.Store.Get(id)
	if err != nil || !sees(access.From(r.Context()), e.Rule) {
		return rulestore.Entry{}, problem.NotFound("threshold rule")
	}
	return e, nil
}

// change returns the rule of the path, if who asks may change it and knows it as it is.
func (a *API) change(r *http.Request) (rulestore.Entry, error) {
	e, err := a.find(r)
	if err != nil {
		return e, err
	}
	if p := access.From(r.Context()); e.Author.Admin() && !p.Admin {
		return e, problem.New(http.StatusForbidden, "an administrator wrote this rule, and only one may change it")
	}
	expected := r.Header.Values("If-Match")
	if len(expected) == 0 {
		return e, problem.New(http.StatusPreconditionRequired, "say which version you change: send its ETag as If-Match, or * for any")
	}
	if !resource.Matches(expected, resource.Tag(e.Version), false) {
		return e, problem.New(http.StatusPreconditionFailed, "the rule was changed meanwhile: read it again")
	}
	return e, nil
}

// refusal is what the client is told of an error of the store.
func refusal(err error) error {
	switch {
	case errors.Is(err, rulestore.ErrNotFound), errors.Is(err, rulestore.ErrConflict): // since it was looked at
		return problem.New(http.StatusPreconditionFailed, "the rule was changed meanwhile: read it again")
	case errors.Is(err, rulestore.ErrFull), errors.Is(err, rulestore.ErrSet):
		return problem.New(http.StatusConflict, "%s", err.Error())
	case errors.Is(err, rulestore.ErrNotKept):
		return problem.New(http.StatusServiceUnavailable, "the rule cannot be written to the storage: nothing was changed, try again later").
			RetryAfter(5 * time.Second).Because(err)
	default:
		return err
	}
}

// write answers with a rule, as a document has it.
func write(w http.ResponseWriter, status int, version uint64, rule *threshold.Rule) error {
	return resource.Write(w, status, resource.Tag(version), resource.Revalidated, rule)
}
