package thresholds

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/access"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/resource"
	"github.com/vmusage/otelcol-vmusage/internal/rulestore"
	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

// page is what a list answers.
type page struct {
	Thresholds []item `json:"thresholds"`
	// NextCursor is null where there are no more.
	NextCursor *string `json:"next_cursor"`
}

type item struct {
	ETag string          `json:"etag"`
	Rule json.RawMessage `json:"rule"`
}

func (a *API) list(w http.ResponseWriter, r *http.Request) error {
	limit, after, err := resource.Paging(r, threshold.MaxID)
	if err != nil {
		return err
	}
	p := access.From(r.Context())
	entries := a.Store.All()
	from, found := slices.BinarySearchFunc(entries, after, func(e rulestore.Entry, id string) int { return strings.Compare(e.Rule.ID, id) })
	if found {
		from++
	}
	out := page{Thresholds: []item{}}
	size, last := 0, ""
	for _, e := range entries[from:] {
		if !sees(p, e.Rule) {
			continue
		}
		if len(out.Thresholds) == limit || size >= resource.MaxPage {
			out.NextCursor = resource.Cursor(last)
			break
		}
		rule, err := e.Rule.MarshalJSON()
		if err != nil {
			return err
		}
		out.Thresholds = append(out.Thresholds, item{resource.Tag(e.Version), rule})
		size += len(rule)
		last = e.Rule.ID
	}
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(out); err != nil {
		return err
	}
	a.Respond(w, r, resource.JSON, body.Bytes())
	return nil
}
