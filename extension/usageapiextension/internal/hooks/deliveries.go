package hooks

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/access"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/resource"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/webhook"
)

// shownDelivery is a delivery as it is answered.
type shownDelivery struct {
	Number     uint64         `json:"number"`
	EventID    string         `json:"event_id"`
	EventType  webhook.Type   `json:"event_type"`
	At         *time.Time     `json:"at"`
	AcceptedAt *time.Time     `json:"accepted_at"`
	State      webhook.State  `json:"state"`
	Attempts   int            `json:"attempts"`
	DueAt      *time.Time     `json:"due_at"`
	Log        []shownAttempt `json:"log"`
}

type shownAttempt struct {
	At *time.Time `json:"at"`
	shownOutcome
}

// shownOutcome is what became of an attempt. The status is null where there was no answer.
type shownOutcome struct {
	Status    *int    `json:"status"`
	LatencyMS float64 `json:"latency_ms"`
	Error     *string `json:"error"`
	Excerpt   *string `json:"excerpt"`
}

func showOutcome(a *webhook.Attempt) shownOutcome {
	o := shownOutcome{LatencyMS: float64(a.Latency.Microseconds()) / 1000, Error: some(a.Error), Excerpt: some(a.Excerpt)}
	if a.Status != 0 {
		o.Status = &a.Status
	}
	return o
}

func showDelivery(d *webhook.Delivery) shownDelivery {
	s := shownDelivery{
		Number: d.Number, EventID: d.EventID, EventType: d.Type, At: at(d.At), AcceptedAt: at(d.Accepted),
		State: d.State, Attempts: d.Attempts, DueAt: at(d.Due), Log: make([]shownAttempt, 0, len(d.Log)),
	}
	for i := range d.Log {
		s.Log = append(s.Log, shownAttempt{at(d.Log[i].At), showOutcome(&d.Log[i])})
	}
	return s
}

// deliveryPage is what the log of a webhook answers, the newest first.
type deliveryPage struct {
	Deliveries []json.RawMessage `json:"deliveries"`
	// NextBefore is null where there are no more.
	NextBefore *uint64 `json:"next_before"`
}

func (a *API) deliveries(w http.ResponseWriter, r *http.Request) error {
	v, err := a.find(r)
	if err != nil {
		return err
	}
	limit, before, state, err := logQuery(r)
	if err != nil {
		return err
	}
	out := deliveryPage{Deliveries: []json.RawMessage{}}
	some := limit + 1 // one more than is wanted tells whether there are more
	if state != "" {
		some = resource.MaxLimit + 1 // those in one state may be few of many
	}
	for size, last := 0, before; ; {
		ds, err := a.Engine.Deliveries(v.ID, last, some)
		if err != nil {
			return refusal(err)
		}
		for i := range ds {
			if state != "" && ds[i].State != state {
				last = ds[i].Number
				continue
			}
			if len(out.Deliveries) == limit || size >= resource.MaxPage {
				out.NextBefore = &last
				return a.respond(w, r, out)
			}
			body, err := json.Marshal(showDelivery(&ds[i]))
			if err != nil {
				return err
			}
			out.Deliveries = append(out.Deliveries, body)
			size += len(body)
			last = ds[i].Number
		}
		if len(ds) < some {
			return a.respond(w, r, out)
		}
	}
}

// logQuery returns which deliveries are wanted.
func logQuery(r *http.Request) (limit int, before uint64, state webhook.State, err error) {
	limit = resource.DefaultLimit
	err = resource.Parameters(r, []string{"limit", "before", "state"}, func(name, value string) (err error) {
		switch name {
		case "limit":
			limit, err = resource.Limit(value)
		case "before":
			before, err = strconv.ParseUint(value, 10, 64)
			if err != nil || before == 0 {
				return problem.BadParameter(name, "must be the number of a delivery")
			}
		default:
			state = webhook.State(value)
			if states := []webhook.State{webhook.Pending, webhook.Delivered, webhook.Failed, webhook.Dropped}; !slices.Contains(states, state) {
				return problem.BadParameter(name, "must be one of %q", states)
			}
		}
		return err
	})
	return limit, before, state, err
}

// shownTest is what became of a test.
type shownTest struct {
	Number    uint64        `json:"number"`
	WebhookID string        `json:"webhook_id"`
	EventID   string        `json:"event_id"`
	State     webhook.State `json:"state"`
	shownOutcome
}

// grace is what the answer about an attempt has besides the attempt.
const grace = 5 * time.Second

func (a *API) test(w http.ResponseWriter, r *http.Request) error {
	v, err := a.find(r)
	if err != nil {
		return err
	}
	// An attempt may take longer than the server lets requests take. One that has no deadlines to set
	// has none.
	control, deadline := http.NewResponseController(w), time.Now().Add(a.Timeout+grace)
	_ = control.SetReadDeadline(deadline)
	_ = control.SetWriteDeadline(deadline)
	d, err := a.Engine.Test(r.Context(), v.ID)
	if err != nil {
		return refusal(err)
	}
	out := shownTest{Number: d.Number, WebhookID: v.ID, EventID: d.EventID, State: d.State}
	if n := len(d.Log); n > 0 {
		out.shownOutcome = showOutcome(&d.Log[n-1])
	}
	return resource.Write(w, http.StatusOK, "", resource.Unkept, out)
}

func (a *API) resend(w http.ResponseWriter, r *http.Request) error {
	v, err := a.find(r)
	if err != nil {
		return err
	}
	number, err := strconv.ParseUint(r.PathValue("number"), 10, 64)
	if err != nil {
		return problem.NotFound("delivery")
	}
	access.About(r.Context(), v.ID+"/"+strconv.FormatUint(number, 10))
	d, err := a.Engine.Resend(r.Context(), v.ID, number)
	if err != nil {
		return refusal(err)
	}
	return resource.Write(w, http.StatusAccepted, "", resource.Revalidated, showDelivery(&d))
}
