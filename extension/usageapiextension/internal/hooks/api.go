// Package hooks is the endpoints of webhooks: those of an admin, and those of users and
// organizations about their own.
package hooks

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/access"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/resource"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/route"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
	"github.com/vmusage/otelcol-vmusage/internal/signing"
)

// Path is where the webhooks are.
const Path = "/api/v1/webhooks"

// Engine keeps webhooks and delivers to them, as [webhook.Engine] does.
type Engine interface {
	Create(ctx context.Context, h webhook.Hook) (webhook.View, error)
	Get(id string) (webhook.View, error)
	List() []webhook.View
	Update(ctx context.Context, id string, expected uint64, change func(*webhook.Hook) error) (webhook.View, error)
	Delete(ctx context.Context, id string, expected uint64) error
	Test(ctx context.Context, id string) (webhook.Delivery, error)
	Deliveries(id string, before uint64, limit int) ([]webhook.Delivery, error)
	Resend(ctx context.Context, id string, number uint64) (webhook.Delivery, error)
}

// API is the endpoints.
type API struct {
	Engine Engine
	// CheckURL says what is wrong with a URL, in words for who wrote it.
	CheckURL func(url string) error
	// SecretOverlap is for how long the secret before a new one signs, where a request does not say.
	SecretOverlap time.Duration
	// Timeout is how long one attempt takes at most.
	Timeout time.Duration
	// Respond answers with a body whose ETag is that of its content.
	Respond func(w http.ResponseWriter, r *http.Request, contentType string, body []byte)
}

// Routes returns them.
func (a *API) Routes() []route.Route {
	one := Path + "/{id}"
	return []route.Route{
		{Method: http.MethodGet, Pattern: Path, Operation: "listWebhooks", Scope: route.ReadWebhooks, Handler: a.list},
		{Method: http.MethodPost, Pattern: Path, Operation: "createWebhook", Scope: route.WriteWebhooks, Handler: a.create},
		{Method: http.MethodGet, Pattern: one, Operation: "getWebhook", Scope: route.ReadWebhooks, Handler: a.get},
		{Method: http.MethodPatch, Pattern: one, Operation: "updateWebhook", Scope: route.WriteWebhooks, Handler: a.update},
		{Method: http.MethodDelete, Pattern: one, Operation: "deleteWebhook", Scope: route.WriteWebhooks, Handler: a.remove},
		{Method: http.MethodPost, Pattern: one + "/test", Operation: "testWebhook", Scope: route.WriteWebhooks, Handler: a.test},
		{Method: http.MethodGet, Pattern: one + "/deliveries", Operation: "listDeliveries", Scope: route.ReadWebhooks, Handler: a.deliveries},
		{Method: http.MethodPost, Pattern: one + "/deliveries/{number}/resend", Operation: "resendDelivery", Scope: route.WriteWebhooks, Handler: a.resend},
	}
}

func (a *API) create(w http.ResponseWriter, r *http.Request) error {
	p := access.From(r.Context())
	h := webhook.Hook{Owner: ownerOf(p), CreatedBy: p.Name}
	if h.Owner == (webhook.Owner{}) {
		return problem.New(http.StatusForbidden, "you own nothing, so there is nothing that a webhook could tell you of")
	}
	c, err := a.read(w, r, forNew)
	if err != nil {
		return err
	}
	if err := confine(p, h.Owner, c); err != nil {
		return err
	}
	if err := c.apply(&h); err != nil {
		return err
	}
	shown := ""
	if c.secret == nil {
		key, err := signing.NewSecret()
		if err != nil {
			return err
		}
		c.secret, shown = &key, key.Reveal()
	}
	h.Secrets = []webhook.Secret{{Key: *c.secret}}
	v, err := a.Engine.Create(r.Context(), h)
	if err != nil {
		return refusal(err)
	}
	access.About(r.Context(), v.ID)
	w.Header().Set("Location", Path+"/"+v.ID)
	return write(w, http.StatusCreated, &v, shown)
}

func (a *API) get(w http.ResponseWriter, r *http.Request) error {
	v, err := a.find(r)
	if err != nil {
		return err
	}
	body, tag, err := encode(&v, "")
	if err != nil || resource.NotModified(w, r, tag) {
		return err
	}
	resource.WriteBody(w, http.StatusOK, tag, resource.Revalidated, body)
	return nil
}

func (a *API) update(w http.ResponseWriter, r *http.Request) error {
	v, expected, err := a.change(r)
	if err != nil {
		return err
	}
	c, err := a.read(w, r, forOld)
	if err != nil {
		return err
	}
	if err := confine(access.From(r.Context()), v.Owner, c); err != nil {
		return err
	}
	key, shown := c.secret, ""
	if c.rotate {
		fresh, err := signing.NewSecret()
		if err != nil {
			return err
		}
		key, shown = &fresh, fresh.Reveal()
	}
	overlap := a.SecretOverlap
	if c.overlap != nil {
		overlap = *c.overlap
	}
	v, err = a.Engine.Update(r.Context(), v.ID, expected, func(h *webhook.Hook) error {
		if key != nil {
			rotate(h, *key, overlap)
		}
		return c.apply(h)
	})
	if err != nil {
		return refusal(err)
	}
	return write(w, http.StatusOK, &v, shown)
}

func (a *API) remove(w http.ResponseWriter, r *http.Request) error {
	v, expected, err := a.change(r)
	if err != nil {
		return err
	}
	if err := a.Engine.Delete(r.Context(), v.ID, expected); err != nil {
		return refusal(err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// find returns the webhook of the path, if it is there for who asks.
func (a *API) find(r *http.Request) (webhook.View, error) {
	id := r.PathValue("id")
	access.About(r.Context(), id)
	v, err := a.Engine.Get(id)
	if err != nil || !sees(access.From(r.Context()), &v) {
		return webhook.View{}, problem.NotFound("webhook")
	}
	return v, nil
}

// change returns the webhook of the path, and the version that it must still have where who asks
// wants to know: 0 is any.
func (a *API) change(r *http.Request) (v webhook.View, expected uint64, err error) {
	if v, err = a.find(r); err != nil {
		return v, 0, err
	}
	header := r.Header.Values("If-Match")
	switch {
	case len(header) == 0 || slices.Contains(header, "*"):
		return v, 0, nil
	case !resource.MatchesVersion(header, v.Version):
		return v, 0, changed()
	default:
		return v, v.Version, nil
	}
}

func changed() error {
	return problem.New(http.StatusPreconditionFailed, "the webhook was changed meanwhile: read it again")
}

// refusal is what the client is told of an error of the engine.
func refusal(err error) error {
	switch {
	case errors.Is(err, webhook.ErrNotFound):
		return problem.NotFound("webhook")
	case errors.Is(err, webhook.ErrDelivery):
		return problem.NotFound("delivery")
	case errors.Is(err, webhook.ErrConflict): // since it was looked at
		return changed()
	case errors.Is(err, webhook.ErrFull):
		return problem.New(http.StatusConflict, "%s: delete one that is not needed", err.Error())
	case errors.Is(err, webhook.ErrDisabled):
		return problem.New(http.StatusConflict, `the webhook is disabled: change its status to "registered" first`)
	case errors.Is(err, webhook.ErrGone):
		return problem.New(http.StatusGone, "the payload of the delivery is no longer kept, so it cannot be sent again")
	case errors.Is(err, webhook.ErrBusy):
		return problem.New(http.StatusTooManyRequests, "a test of the webhook is under way: wait for its outcome").RetryAfter(time.Second)
	case errors.Is(err, webhook.ErrNotKept):
		return problem.New(http.StatusServiceUnavailable, "the webhook cannot be written to the storage: nothing was changed, try again later").
			RetryAfter(5 * time.Second).Because(err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		// Nothing of the cause: who is not there any more is answered in vain, others are told.
		return problem.New(http.StatusServiceUnavailable, "it was interrupted: try again").RetryAfter(time.Second)
	default:
		return err
	}
}
