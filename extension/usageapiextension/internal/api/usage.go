package api

import (
	"net/http"
	"net/url"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/query"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/view"
)

// parse reads the parameters of a request.
func parse(r *http.Request, kinds int) (query.Query, error) {
	if r.URL.RawQuery == "" {
		return query.Parse(nil, kinds)
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return query.Query{}, problem.New(http.StatusBadRequest, "the query cannot be read: write %%25 for a percent sign and %%26 for an ampersand within a value").Because(err)
	}
	return query.Parse(values, kinds)
}

// appendEntry appends an instance, if it is there and is seen.
func appendEntry(b []byte, e *store.Entry, fields view.Fields, sees query.Viewer, matches func(*store.Data) bool) (_ []byte, ok bool) {
	e.Read(func(d *store.Data) {
		if !sees(d.Instance.UserID, d.Instance.OrgID) || matches != nil && !matches(d) {
			return
		}
		c := d.Closed
		b, ok = view.AppendInstance(b, e.ID(), d, fields, c != nil && sees(c.UserID, c.OrgID)), true
	})
	return b, ok
}

func (a *API) instance(w http.ResponseWriter, r *http.Request) error {
	q, err := parse(r, query.Selected)
	if err != nil {
		return err
	}
	return a.reuse.answer(w, r, func(b []byte) ([]byte, error) {
		if e := a.settings.Store.Get(r.PathValue("id")); e != nil {
			if b, ok := appendEntry(b, e, q.Fields, a.settings.Viewer(r.Context()), nil); ok {
				return b, nil
			}
		}
		return b, problem.NotFound("instance")
	})
}

func (a *API) instances(w http.ResponseWriter, r *http.Request) error {
	q, err := parse(r, query.Filters|query.Paging|query.Groups|query.Selected)
	if err != nil {
		return err
	}
	sees := a.settings.Viewer(r.Context())
	return a.reuse.answer(w, r, func(b []byte) ([]byte, error) {
		if function, by, ok := q.Aggregates(); ok {
			groups, next := q.Groups(a.settings.Store.All(), sees)
			return query.AppendGroups(b, function, by, groups, next), nil
		}
		return a.appendPage(append(b, '{'), &q, sees), nil
	})
}

// appendPage appends the instances of a page, and the end of the object that they are in.
func (a *API) appendPage(b []byte, q *query.Query, sees query.Viewer) []byte {
	page, next := q.Page(a.settings.Store.All(), sees)
	b = append(b, `"instances":[`...)
	first := true
	for _, e := range page {
		n := len(b)
		if !first {
			b = append(b, ',')
		}
		var ok bool
		if b, ok = appendEntry(b, e, q.Fields, sees, nil); !ok {
			b = b[:n] // it went just now
			continue
		}
		first = false
	}
	return query.AppendNext(append(b, ']'), next)
}

// owner answers what a user or an organization uses.
func (a *API) owner(kind string) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		q, err := parse(r, query.Filters|query.Paging|query.Selected)
		if err != nil {
			return err
		}
		id := r.PathValue("id")
		sees := a.settings.Viewer(r.Context())
		of := func(user, org string) bool {
			owner := user
			if kind == "org" {
				owner = org
			}
			return owner == id && sees(user, org)
		}
		return a.reuse.answer(w, r, func(b []byte) ([]byte, error) {
			all := a.settings.Store.All()
			if id == "" || !anyOf(all, of) {
				return b, problem.NotFound(map[string]string{"user": "user with instances", "org": "organization with instances"}[kind])
			}
			b = query.AppendOwner(b, kind+"_id", id, q.Sum(all, of))
			return a.appendPage(append(b, ','), &q, of), nil
		})
	}
}

func anyOf(all []*store.Entry, sees query.Viewer) (found bool) {
	for _, e := range all {
		e.Read(func(d *store.Data) { found = sees(d.Instance.UserID, d.Instance.OrgID) })
		if found {
			return true
		}
	}
	return false
}

// machine answers as the service before this one did, about one machine.
func (a *API) machine(w http.ResponseWriter, r *http.Request) error {
	if _, err := parse(r, 0); err != nil {
		return err
	}
	sees := a.settings.Viewer(r.Context())
	e, err := a.theMachine(sees)
	if err != nil {
		return err
	}
	return a.reuse.answer(w, r, func(b []byte) ([]byte, error) {
		ok := false
		e.Read(func(d *store.Data) {
			if ok = sees(d.Instance.UserID, d.Instance.OrgID); ok {
				b = view.AppendLegacy(b, e.ID(), d)
			}
		})
		if !ok {
			return b, problem.NotFound("instance")
		}
		return b, nil
	})
}

// theMachine returns the only instance that has levels and is seen, or of several the
// only one that is the machine itself and no guest.
func (a *API) theMachine(sees query.Viewer) (*store.Entry, error) {
	var seen, own *store.Entry
	several, severalOwn := false, false
	for _, e := range a.settings.Store.All() {
		e.Read(func(d *store.Data) {
			if d.Levels.At == 0 || !sees(d.Instance.UserID, d.Instance.OrgID) {
				return
			}
			several, seen = several || seen != nil, e
			if d.Instance.Hypervisor == "none" {
				severalOwn, own = severalOwn || own != nil, e
			}
		})
		if several && severalOwn {
			break
		}
	}
	switch {
	case seen == nil:
		return nil, problem.NotFound("instance: nothing is known of any yet")
	case !several:
		return seen, nil
	case own != nil && !severalOwn:
		return own, nil
	}
	return nil, problem.New(http.StatusConflict, "there are several instances: ask /api/v1/usage/instances")
}
