package hooks

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/access"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/resource"
)

// page is what a list answers.
type page struct {
	Webhooks []json.RawMessage `json:"webhooks"`
	// NextCursor is null where there are no more.
	NextCursor *string `json:"next_cursor"`
}

func (a *API) list(w http.ResponseWriter, r *http.Request) error {
	limit, after, err := resource.Paging(r, 128)
	if err != nil {
		return err
	}
	from, err := positionOf(after)
	if err != nil {
		return err
	}
	p := access.From(r.Context())
	out := page{Webhooks: []json.RawMessage{}}
	size, last := 0, position{}
	for _, v := range a.Engine.List() {
		at := position{v.RegisteredAt.UnixNano(), v.ID}
		if after != "" && at.compare(from) <= 0 || !sees(p, &v) {
			continue
		}
		if len(out.Webhooks) == limit || size >= resource.MaxPage {
			out.NextCursor = resource.Cursor(last.String())
			break
		}
		body, err := json.Marshal(show(&v))
		if err != nil {
			return err
		}
		out.Webhooks = append(out.Webhooks, body)
		size += len(body)
		last = at
	}
	return a.respond(w, r, out)
}

func (a *API) respond(w http.ResponseWriter, r *http.Request, page any) error {
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(page); err != nil {
		return err
	}
	a.Respond(w, r, resource.JSON, body.Bytes())
	return nil
}

// A position is where a webhook is in the list of all: they are in the order in which they
// were registered.
type position struct {
	at int64 // unix ns
	id string
}

func (p position) compare(o position) int {
	return cmp.Or(cmp.Compare(p.at, o.at), strings.Compare(p.id, o.id))
}

func (p position) String() string { return strconv.FormatInt(p.at, 36) + " " + p.id }

// positionOf returns the one of a cursor; the first for "".
func positionOf(cursor string) (position, error) {
	if cursor == "" {
		return position{}, nil
	}
	number, id, ok := strings.Cut(cursor, " ")
	at, err := strconv.ParseInt(number, 36, 64)
	if err != nil || !ok {
		return position{}, problem.BadParameter("cursor", "must be the next_cursor of an earlier answer")
	}
	return position{at, id}, nil
}
