package webhook

import "slices"

// index finds the hooks that may take an event. It never changes.
//
// A hook is where its narrowest criterion leads to, so that an event of one instance costs
// nothing for the hooks of others.
type index map[Type]*targets

type targets struct {
	instances, users, orgs map[string][]*endpoint
	rest                   []*endpoint
}

func newIndex(endpoints map[string]*endpoint) index {
	x := index{}
	for _, ep := range endpoints {
		if ep.hook.Status == Disabled {
			continue
		}
		for _, t := range ep.hook.Types {
			if x[t] == nil {
				x[t] = &targets{instances: map[string][]*endpoint{}, users: map[string][]*endpoint{}, orgs: map[string][]*endpoint{}}
			}
			x[t].add(ep)
		}
	}
	return x
}

func (x *targets) add(ep *endpoint) {
	under := func(in map[string][]*endpoint, keys ...string) {
		for _, key := range keys {
			if key != "" && !slices.Contains(in[key], ep) {
				in[key] = append(in[key], ep)
			}
		}
	}
	f, o := &ep.hook.Filter, ep.hook.Owner
	switch {
	case len(f.InstanceIDs) > 0:
		under(x.instances, f.InstanceIDs...)
	case len(f.UserIDs) > 0:
		under(x.users, f.UserIDs...)
	case len(f.OrgIDs) > 0:
		under(x.orgs, f.OrgIDs...)
	case !o.Admin:
		under(x.users, o.UserID)
		under(x.orgs, o.OrgID)
	default:
		x.rest = append(x.rest, ep)
	}
}

// find appends the endpoints that may take e, each once.
func (x index) find(dst []*endpoint, e *Event) []*endpoint {
	t := x[e.Type]
	if t == nil {
		return dst
	}
	if e.Type == PipelineAlert { // of no instance: whoever is interested in these
		for _, in := range []map[string][]*endpoint{t.instances, t.users, t.orgs} {
			for _, list := range in {
				dst = appendOnce(dst, list)
			}
		}
		return append(dst, t.rest...)
	}
	for _, c := range [...]struct {
		in  map[string][]*endpoint
		key string
	}{{t.instances, e.InstanceID}, {t.users, e.UserID}, {t.orgs, e.OrgID}} {
		if c.key != "" && len(c.in) > 0 {
			dst = appendOnce(dst, c.in[c.key])
		}
	}
	return append(dst, t.rest...)
}

func appendOnce(dst, list []*endpoint) []*endpoint {
	for _, ep := range list {
		if !slices.Contains(dst, ep) {
			dst = append(dst, ep)
		}
	}
	return dst
}

// takes reports whether a hook takes an event that was found for it.
func (e *Engine) takes(h *Hook, ev *Event) bool {
	return h.Status != Disabled && h.wants(ev.Type) && ev.At >= h.RegisteredAt.UnixNano() && e.sees(h, ev) && h.Filter.Takes(ev)
}

// sees reports whether a hook may hear of an event.
func (e *Engine) sees(h *Hook, ev *Event) bool {
	switch {
	case h.Owner.Admin:
		return true
	case ev.Type == PipelineAlert:
		return ev.Owner != Owner{} && ev.Owner == h.Owner
	default:
		return e.settings.Owns(h.Owner, ev.UserID, ev.OrgID)
	}
}
