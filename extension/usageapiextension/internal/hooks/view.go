package hooks

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/resource"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
)

// shownHook is a webhook as it is answered. Times are UTC; what there is not is null.
type shownHook struct {
	ID           string         `json:"id"`
	Status       webhook.Status `json:"status"`
	Reason       *string        `json:"reason"`
	Since        *time.Time     `json:"since"`
	URL          string         `json:"url"`
	EventTypes   []webhook.Type `json:"event_types"`
	Filters      shownFilters   `json:"filters"`
	Description  string         `json:"description"`
	RegisteredAt *time.Time     `json:"registered_at"`
	CreatedBy    string         `json:"created_by"`
	Owner        shownOwner     `json:"owner"`
	// PreviousSecrets are those before the newest that still sign.
	PreviousSecrets []shownSecret   `json:"previous_secrets"`
	Deliveries      shownDeliveries `json:"deliveries"`
	// Secret is there once, where the server made it.
	Secret string `json:"secret,omitempty"`
}

type shownFilters struct {
	InstanceIDs []string          `json:"instance_ids,omitempty"`
	UserIDs     []string          `json:"user_ids,omitempty"`
	OrgIDs      []string          `json:"org_ids,omitempty"`
	Levels      []string          `json:"levels,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
}

type shownOwner struct {
	UserID *string `json:"user_id"`
	OrgID  *string `json:"org_id"`
	Admin  bool    `json:"admin"`
}

type shownSecret struct {
	Until *time.Time `json:"until"`
}

type shownDeliveries struct {
	Pending      int        `json:"pending"`
	Dropped      uint64     `json:"dropped"`
	LastSuccess  *time.Time `json:"last_success"`
	LastFailure  *time.Time `json:"last_failure"`
	FailingSince *time.Time `json:"failing_since"`
	BlockedUntil *time.Time `json:"blocked_until"`
}

func show(v *webhook.View) shownHook {
	s := shownHook{
		ID: v.ID, Status: v.Status, Reason: some(v.Reason), Since: at(v.Since), URL: v.URL, EventTypes: v.Types,
		Filters:     shownFilters{InstanceIDs: v.Filter.InstanceIDs, UserIDs: v.Filter.UserIDs, OrgIDs: v.Filter.OrgIDs},
		Description: v.Description, RegisteredAt: at(v.RegisteredAt), CreatedBy: v.CreatedBy,
		Owner:           shownOwner{some(v.Owner.UserID), some(v.Owner.OrgID), v.Owner.Admin},
		PreviousSecrets: []shownSecret{},
		Deliveries: shownDeliveries{
			Pending: v.Pending, Dropped: v.Dropped, LastSuccess: at(v.LastSuccess), LastFailure: at(v.LastFailure),
			FailingSince: at(v.FailingSince), BlockedUntil: at(v.BlockedUntil),
		},
	}
	for _, l := range v.Filter.Levels {
		s.Filters.Levels = append(s.Filters.Levels, l.String())
	}
	if len(v.Filter.Labels) > 0 {
		s.Filters.Labels = map[string]string{}
	}
	for _, l := range v.Filter.Labels {
		s.Filters.Labels[l.Key] = l.Value
	}
	for i, secret := range v.Secrets {
		if i > 0 && secret.Until.After(time.Now()) {
			s.PreviousSecrets = append(s.PreviousSecrets, shownSecret{at(secret.Until)})
		}
	}
	return s
}

// at returns a time; nil for none.
func at(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC())
}

// some returns a text; nil for none.
func some(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// encode returns a webhook as JSON, and its entity tag. secret is a new one that is to be shown.
func encode(v *webhook.View, secret string) (body []byte, tag string, err error) {
	s := show(v)
	if body, err = json.Marshal(s); err != nil {
		return nil, "", err
	}
	tag = resource.TagOf(v.Version, body)
	if secret != "" {
		s.Secret = secret
		body, err = json.Marshal(s)
	}
	return body, tag, err
}

// write answers with a webhook.
func write(w http.ResponseWriter, status int, v *webhook.View, secret string) error {
	body, tag, err := encode(v, secret)
	if err != nil {
		return err
	}
	cache := resource.Revalidated
	if secret != "" {
		cache = resource.Unkept
	}
	resource.WriteBody(w, status, tag, cache, body)
	return nil
}
