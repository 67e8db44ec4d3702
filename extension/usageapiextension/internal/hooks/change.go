package hooks

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/resource"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
	"github.com/vmusage/otelcol-vmusage/internal/signing"
)

const (
	// MaxBody is how large a body is at most, in bytes.
	MaxBody = 64 << 10
	// MaxOverlap is for how long two secrets sign at most.
	MaxOverlap = 7 * 24 * time.Hour

	maxDescription = 1024
	mergePatch     = "application/merge-patch+json"
)

// The members of a body.
const (
	keyURL         = "url"
	keyTypes       = "event_types"
	keyFilters     = "filters"
	keyDescription = "description"
	keyStatus      = "status"
	keySecret      = "secret"
	keyRotate      = "rotate_secret"
	keyOverlap     = "secret_overlap"
)

// ofTheServer are members of answers that nobody writes.
var ofTheServer = []string{"id", "registered_at", "created_by", "owner", "reason", "since", "deliveries", "previous_secrets"}

// A use is what a body is for.
type use struct {
	known  []string
	patch  bool
	expect resource.Expect
}

var (
	forNew = use{
		known: []string{keyURL, keyTypes, keySecret, keyFilters, keyDescription},
		expect: resource.Expect{
			What: "a webhook", Example: `{"url":"https://example.com/hook","event_types":["resource_usage"]}`,
			Types: []string{resource.JSON}, Accept: "Accept-Post", MaxBytes: MaxBody,
		},
	}
	forOld = use{
		known: []string{keyURL, keyTypes, keyFilters, keyDescription, keyStatus, keySecret, keyRotate, keyOverlap},
		patch: true,
		expect: resource.Expect{
			What: "what is to be changed of a webhook", Example: `{"status":"paused"}`,
			Types: []string{mergePatch, resource.JSON}, Accept: "Accept-Patch", MaxBytes: MaxBody,
		},
	}
)

// A change is what a body asks for. What is nil, false or empty stays as it is.
type change struct {
	url, description *string
	types            []webhook.Type
	filters          *filters
	status           webhook.Status
	secret           *signing.Secret
	rotate           bool
	overlap          *time.Duration
}

// read reads the body of a request. All that is wrong with it is said at once: with 400 where the URL
// is one that requests are not sent to, else with 422.
func (a *API) read(w http.ResponseWriter, r *http.Request, u use) (*change, error) {
	text, err := resource.Read(w, r, u.expect)
	if err != nil {
		return nil, err
	}
	d := &decoder{patch: u.patch}
	c, status := &change{}, http.StatusUnprocessableEntity
	d.object(nil, text, u.known, func(key string, at place, value json.RawMessage) { c.take(d, key, at, value) })
	if c.url != nil {
		if err := a.CheckURL(*c.url); err != nil {
			d.note(place{keyURL}, "is refused: %s", err)
			status = http.StatusBadRequest
		}
	}
	c.check(d)
	if len(d.wrong) > 0 {
		e := problem.New(status, "the webhook is not valid")
		e.Invalid = d.wrong
		return nil, e
	}
	return c, nil
}

func (c *change) take(d *decoder, key string, at place, value json.RawMessage) {
	switch key {
	case keyURL:
		if !d.null(at, value, "a webhook has a URL") {
			c.url = d.optional(at, value)
		}
	case keyTypes:
		if !d.null(at, value, "a webhook has at least one type") {
			c.types = d.types(at, value)
		}
	case keyFilters:
		if d.null(at, value, "") {
			c.filters = &filters{clear: true}
		} else {
			c.filters = d.filters(at, value)
		}
	case keyDescription:
		if d.null(at, value, "") {
			c.description = new("")
		} else if c.description = d.optional(at, value); c.description != nil {
			d.plain(at, *c.description, 0, maxDescription)
		}
	case keyStatus:
		if !d.null(at, value, "a webhook has a status") {
			c.status = d.status(at, value)
		}
	case keySecret:
		if !d.null(at, value, `a webhook has a secret: for a new one write "rotate_secret": true`) {
			c.secret = d.secret(at, value)
		}
	case keyRotate:
		if !d.null(at, value, "") && json.Unmarshal(value, &c.rotate) != nil {
			d.note(at, "is %s: it must be true or false", kind(value))
		}
	case keyOverlap:
		if !d.null(at, value, "") {
			c.overlap = d.overlap(at, value)
		}
	}
}

// check notes what is missing, and what does not fit together.
func (c *change) check(d *decoder) {
	faulty := func(key string) bool {
		return slices.Contains(d.meant, key) || slices.ContainsFunc(d.wrong, func(i problem.Invalid) bool { return i.Pointer == "#/"+key })
	}
	if !d.patch {
		if c.url == nil && !faulty(keyURL) {
			d.note(place{keyURL}, "is missing: say where to send events, such as https://example.com/hook")
		}
		if c.types == nil && !faulty(keyTypes) {
			d.note(place{keyTypes}, "is missing: say which events to send: %s", typeNames())
		}
		return
	}
	if c.rotate && c.secret != nil {
		d.note(place{keyRotate}, "makes a new secret, and there is one in secret: write one of both")
	}
	if c.overlap != nil && !c.rotate && c.secret == nil && !faulty(keySecret) {
		d.note(place{keyOverlap}, `is for how long the old secret signs beside a new one: write "rotate_secret": true, too, or secret`)
	}
}

// apply changes a webhook, except for its secret.
func (c *change) apply(h *webhook.Hook) error {
	if c.url != nil {
		h.URL = *c.url
	}
	if c.description != nil {
		h.Description = *c.description
	}
	if c.types != nil {
		h.Types = c.types
	}
	if c.status != "" {
		h.Status = c.status
	}
	if c.filters == nil {
		return nil
	}
	return c.filters.apply(&h.Filter)
}

// rotate makes a secret the newest one, unless it is already.
func rotate(h *webhook.Hook, key signing.Secret, overlap time.Duration) {
	if len(h.Secrets) > 0 && h.Secrets[0].Key.Equal(key) {
		return
	}
	h.Secrets = slices.DeleteFunc(h.Secrets, func(s webhook.Secret) bool { return s.Key.Equal(key) })
	h.Rotate(key, time.Now().Add(overlap))
}

// optional reads a text; nil where there is none.
func (d *decoder) optional(at place, value json.RawMessage) *string {
	text, ok := d.text(at, value)
	if !ok {
		return nil
	}
	return &text
}

func typeNames() string {
	var names []string
	for _, t := range webhook.Types() {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}

func (d *decoder) types(at place, value json.RawMessage) []webhook.Type {
	const most = 32 // of which some may be there twice
	before := len(d.wrong)
	texts := d.texts(at, value, most, func(at place, text string) {
		if !slices.Contains(webhook.Types(), webhook.Type(text)) {
			d.note(at, "is %s: there are %s", quote(text), typeNames())
		}
	})
	if len(texts) == 0 && len(d.wrong) == before {
		d.note(at, "is empty: there are %s", typeNames())
	}
	types := make([]webhook.Type, 0, len(texts))
	for _, t := range texts {
		types = append(types, webhook.Type(t))
	}
	slices.Sort(types)
	return slices.Compact(types)
}

func (d *decoder) status(at place, value json.RawMessage) webhook.Status {
	text, ok := d.text(at, value)
	s := webhook.Status(text)
	if ok && s != webhook.Registered && s != webhook.Paused {
		d.note(at, "is %s: write %q to pause, and %q to go on", quote(text), webhook.Paused, webhook.Registered)
	}
	return s
}

// secret reads one. What is wrong is said without a word of it.
func (d *decoder) secret(at place, value json.RawMessage) *signing.Secret {
	text, ok := d.text(at, value)
	if !ok {
		return nil
	}
	s, err := signing.ParseSecret(text)
	if err != nil {
		d.note(at, "is not valid: %s", err)
		return nil
	}
	return &s
}

func (d *decoder) overlap(at place, value json.RawMessage) *time.Duration {
	text, ok := d.text(at, value)
	if !ok {
		return nil
	}
	overlap, err := time.ParseDuration(text)
	if err != nil || overlap < 0 || overlap > MaxOverlap {
		d.note(at, "is %s: write a number and a unit, such as 30m or 24h, at most %v", quote(text), MaxOverlap)
		return nil
	}
	return &overlap
}
