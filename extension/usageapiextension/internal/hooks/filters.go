package hooks

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/resource"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// Bounds of filters.
const (
	maxIDs    = 100
	maxLabels = 16
	maxText   = 256      // bytes
	maxSize   = 16 << 10 // bytes of all ids and labels together
)

// The members of filters.
const (
	keyInstances = "instance_ids"
	keyUsers     = "user_ids"
	keyOrgs      = "org_ids"
	keyLevels    = "levels"
	keyLabels    = "labels"
)

// filters are what a body changes of a filter.
type filters struct {
	clear                          bool // everything first
	instances, users, orgs, levels list
	labels                         map[string]*string // nil removes one
	clearLabels                    bool               // first
}

// A list is one that takes the place of another.
type list struct {
	set    bool
	values []string
}

func (d *decoder) filters(at place, value json.RawMessage) *filters {
	f := &filters{}
	known := []string{keyInstances, keyUsers, keyOrgs, keyLevels, keyLabels}
	d.object(at, value, known, func(key string, at place, value json.RawMessage) {
		null := d.null(at, value, "")
		switch {
		case key == keyLabels && null:
			f.clearLabels = true
		case key == keyLabels:
			f.labels = d.labels(at, value)
		case null:
			*f.list(key) = list{set: true}
		case key == keyLevels:
			f.levels = list{true, d.texts(at, value, maxIDs, d.level)}
		default:
			least := 0 // of a user or an organization: those of nobody
			if key == keyInstances {
				least = 1
			}
			*f.list(key) = list{true, d.texts(at, value, maxIDs, func(at place, text string) { d.plain(at, text, least, maxText) })}
		}
	})
	return f
}

func (f *filters) list(key string) *list {
	switch key {
	case keyInstances:
		return &f.instances
	case keyUsers:
		return &f.users
	case keyOrgs:
		return &f.orgs
	default:
		return &f.levels
	}
}

func (d *decoder) level(at place, text string) {
	if l, ok := usage.ParseThresholdLevel(text); !ok || l == usage.LevelOK {
		d.note(at, "is %s: there are %v and %v", quote(text), usage.LevelWarning, usage.LevelCritical)
	}
}

func (d *decoder) labels(at place, value json.RawMessage) map[string]*string {
	labels := map[string]*string{}
	d.object(at, value, nil, func(key string, at place, value json.RawMessage) {
		if key == "" || len(key) > maxText {
			d.note(at, "must have a key of 1 to %d bytes", maxText)
			return
		}
		if d.null(at, value, "") {
			labels[key] = nil
		} else if text, ok := d.text(at, value); ok {
			d.plain(at, text, 0, maxText)
			labels[key] = &text
		}
	})
	return labels
}

// apply changes a filter as RFC 7396 has it.
func (f *filters) apply(to *webhook.Filter) error {
	if f.clear {
		*to = webhook.Filter{}
	}
	for _, l := range []struct {
		list list
		to   *[]string
	}{{f.instances, &to.InstanceIDs}, {f.users, &to.UserIDs}, {f.orgs, &to.OrgIDs}} {
		if l.list.set {
			*l.to = unique(l.list.values)
		}
	}
	if f.levels.set {
		to.Levels = nil
		for _, name := range unique(f.levels.values) {
			level, _ := usage.ParseThresholdLevel(name)
			to.Levels = append(to.Levels, level)
		}
	}
	if f.clearLabels {
		to.Labels = nil
	}
	f.applyLabels(to)
	return bound(to)
}

func (f *filters) applyLabels(to *webhook.Filter) {
	for key, value := range f.labels {
		to.Labels = slices.DeleteFunc(to.Labels, func(l usage.Label) bool { return l.Key == key })
		if value != nil {
			to.Labels = append(to.Labels, usage.Label{Key: key, Value: *value})
		}
	}
	slices.SortFunc(to.Labels, func(a, b usage.Label) int { return strings.Compare(a.Key, b.Key) })
}

// bound refuses a filter that a change would make too large.
func bound(f *webhook.Filter) error {
	size := 0
	for _, ids := range [][]string{f.InstanceIDs, f.UserIDs, f.OrgIDs} {
		for _, id := range ids {
			size += len(id)
		}
	}
	for _, l := range f.Labels {
		size += len(l.Key) + len(l.Value)
	}
	e := problem.New(http.StatusUnprocessableEntity, "the webhook is not valid")
	if n := len(f.Labels); n > maxLabels {
		e.Invalid = append(e.Invalid, problem.Invalid{Pointer: resource.Pointer(keyFilters, keyLabels), Detail: fmt.Sprintf("would be %d: at most %d", n, maxLabels)})
	}
	if size > maxSize {
		e.Invalid = append(e.Invalid, problem.Invalid{Pointer: resource.Pointer(keyFilters), Detail: fmt.Sprintf("would have %d bytes: at most %d", size, maxSize)})
	}
	if len(e.Invalid) == 0 {
		return nil
	}
	return e
}

// unique returns each text once, sorted.
func unique(texts []string) []string {
	texts = slices.Clone(texts)
	slices.Sort(texts)
	return slices.Compact(texts)
}
