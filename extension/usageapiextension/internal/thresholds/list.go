package thresholds

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/access"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
	"github.com/vmusage/otelcol-vmusage/internal/rulestore"
	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

// Bounds of a page.
const (
	defaultLimit = 100
	maxLimit     = 1000
	maxPage      = 1 << 20 // bytes, after which no more rules are begun
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
	limit, after, err := paging(r)
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
		if len(out.Thresholds) == limit || size >= maxPage {
			out.NextCursor = new(base64.RawURLEncoding.EncodeToString([]byte(last)))
			break
		}
		rule, err := e.Rule.MarshalJSON()
		if err != nil {
			return err
		}
		out.Thresholds = append(out.Thresholds, item{tag(e.Version), rule})
		size += len(rule)
		last = e.Rule.ID
	}
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(out); err != nil {
		return err
	}
	a.Respond(w, r, jsonType, body.Bytes())
	return nil
}

// paging returns how many rules are wanted, and after which id.
func paging(r *http.Request) (limit int, after string, err error) {
	limit = defaultLimit
	for name, values := range r.URL.Query() {
		if len(values) != 1 {
			return 0, "", problem.BadParameter(name, "is there %d times", len(values))
		}
		switch value := values[0]; name {
		case "limit":
			limit, err = strconv.Atoi(value)
			if err != nil || limit < 1 || limit > maxLimit {
				return 0, "", problem.BadParameter(name, "must be 1 to %d", maxLimit)
			}
		case "cursor":
			id, err := base64.RawURLEncoding.DecodeString(value)
			if err != nil || len(id) > threshold.MaxID {
				return 0, "", problem.BadParameter(name, "must be the next_cursor of an earlier answer")
			}
			after = string(id)
		default:
			return 0, "", problem.BadParameter(name, "is not known: there are limit and cursor")
		}
	}
	return limit, after, nil
}
