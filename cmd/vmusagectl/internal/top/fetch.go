package top

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/apiclient"
)

const (
	instancesPath = "/api/v1/usage/instances"
	healthPath    = "/api/v1/health/status"

	pageSize    = 1000 // the most that the API gives at once
	maxWaits    = 10   // for the API's limits of rates, in one poll
	longestWait = time.Minute
)

// A Getter asks the API for a path, decodes the answer, and returns when the API says that
// it answered.
type Getter interface {
	Get(ctx context.Context, path string, query url.Values, out any) (time.Time, error)
}

// A Poller asks for all instances that its filters let through.
type Poller struct {
	API    Getter
	Filter url.Values // parameters of the API
	Health bool       // ask for it, too
	Most   int        // instances; that there are more is an error
	Wait   func(ctx context.Context, d time.Duration) error
}

// Poll returns what there is now. It waits where the API asks for that.
func (p *Poller) Poll(ctx context.Context) (*Snapshot, error) {
	s := &Snapshot{}
	query := url.Values{"fields": {Fields}, "limit": {strconv.Itoa(pageSize)}}
	maps.Copy(query, p.Filter)
	seen, waits := map[string]bool{}, 0
	for {
		var page Page
		asked, err := p.get(ctx, instancesPath, query, &page, &waits)
		if err != nil {
			return nil, err
		}
		if s.Asked.IsZero() {
			s.Asked = asked
		}
		fresh := 0
		for i := range page.Instances {
			if r := &page.Instances[i]; !seen[r.ID] {
				seen[r.ID] = true
				fresh++
				s.Readings = append(s.Readings, *r)
			}
		}
		switch {
		case page.Next == "" && !p.Health:
			return s, nil
		case page.Next == "":
			s.Health, err = p.health(ctx, &waits)
			return s, err
		case fresh == 0:
			return nil, errors.New("a page of instances has none that is new: the list has no end")
		case len(s.Readings) >= p.Most:
			return nil, fmt.Errorf("there are more than %d instances: ask for fewer, with --user, --org, --label, --name or --level", p.Most)
		}
		query.Set("cursor", page.Next)
	}
}

// get asks again after as long as the API says.
func (p *Poller) get(ctx context.Context, path string, query url.Values, out any, waits *int) (time.Time, error) {
	for {
		asked, err := p.API.Get(ctx, path, query, out)
		e, ok := errors.AsType[*apiclient.Error](err)
		if !ok || e.Status != http.StatusTooManyRequests {
			return asked, err
		}
		d, says := e.Wait()
		if *waits++; !says || d > longestWait || *waits > maxWaits {
			return asked, err
		}
		if err := p.Wait(ctx, d); err != nil {
			return asked, err
		}
	}
}

// A Health is what the API says of metering.
type Health struct {
	Status string // ok, degraded or error; "" where the key may not see it, unknown where there is no answer
	Detail string // one thing that is wrong, if any
}

func (p *Poller) health(ctx context.Context, waits *int) (Health, error) {
	type part struct {
		Details []string `json:"details"`
	}
	var answer struct {
		Status     string `json:"status"`
		Components struct {
			Collection part `json:"metrics_collection"`
			Publishing part `json:"event_publishing"`
			API        part `json:"api"`
		} `json:"components"`
	}
	if _, err := p.get(ctx, healthPath, nil, &answer, waits); err != nil {
		e, answered := errors.AsType[*apiclient.Error](err)
		switch {
		case ctx.Err() != nil:
			return Health{}, err
		case answered && e.Status == http.StatusForbidden:
			return Health{}, nil
		default: // that it cannot be asked takes nothing from the instances
			return Health{Status: "unknown", Detail: err.Error()}, nil
		}
	}
	h := Health{Status: answer.Status}
	for _, c := range []part{answer.Components.Collection, answer.Components.Publishing, answer.Components.API} {
		if len(c.Details) > 0 && h.Detail == "" {
			h.Detail = c.Details[0]
		}
	}
	return h, nil
}
