package render

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Webhook is a registration as the usage API has it.
type Webhook struct {
	ID           string    `json:"id"`
	Status       string    `json:"status"`
	Reason       string    `json:"reason"`
	URL          string    `json:"url"`
	EventTypes   []string  `json:"event_types"`
	RegisteredAt time.Time `json:"registered_at"`
	Deliveries   struct {
		Pending      int        `json:"pending"`
		Dropped      uint64     `json:"dropped"`
		LastSuccess  *time.Time `json:"last_success"`
		FailingSince *time.Time `json:"failing_since"`
	} `json:"deliveries"`
}

// A Delivery is one as the usage API has it.
type Delivery struct {
	Number     uint64     `json:"number"`
	EventID    string     `json:"event_id"`
	EventType  string     `json:"event_type"`
	State      string     `json:"state"`
	AcceptedAt time.Time  `json:"accepted_at"`
	Attempts   int        `json:"attempts"`
	DueAt      *time.Time `json:"due_at"`
	Log        []Attempt  `json:"log"`
}

// An Attempt is one request.
type Attempt struct {
	At        time.Time `json:"at"`
	Status    *int      `json:"status"`
	LatencyMS float64   `json:"latency_ms"`
	Error     *string   `json:"error"`
	Excerpt   *string   `json:"excerpt"`
}

func clock(t time.Time) string { return t.UTC().Format(time.DateTime) }

// Webhooks returns a table of registrations. Times are UTC.
func Webhooks(all []Webhook) string {
	if len(all) == 0 {
		return "no webhook is registered\n"
	}
	t := table{left: 4}
	t.row("ID", "STATUS", "EVENTS", "URL", "LAST SUCCESS", "PENDING", "DROPPED")
	for i := range all {
		h := &all[i]
		status, last := h.Status, "-"
		switch d := &h.Deliveries; {
		case h.Reason != "":
			status += " (" + h.Reason + ")"
		case d.FailingSince != nil:
			status += ", failing since " + clock(*d.FailingSince)
		}
		if at := h.Deliveries.LastSuccess; at != nil {
			last = clock(*at)
		}
		t.row(h.ID, status, strings.Join(h.EventTypes, ","), Printable(h.URL), last, strconv.Itoa(h.Deliveries.Pending), strconv.FormatUint(h.Deliveries.Dropped, 10))
	}
	return t.String()
}

// Deliveries returns a table of deliveries, with how the last attempt went. Times are UTC.
func Deliveries(all []Delivery) string {
	if len(all) == 0 {
		return "nothing was sent, and nothing waits\n"
	}
	t := table{left: 5}
	t.row("NUMBER", "EVENT", "STATE", "ACCEPTED", "ATTEMPTS", "LAST ATTEMPT")
	for i := range all {
		d := &all[i]
		state, last := d.State, "-"
		if d.DueAt != nil {
			state += ", next at " + clock(*d.DueAt)
		}
		if n := len(d.Log); n > 0 {
			last = d.Log[n-1].String()
		}
		t.row(strconv.FormatUint(d.Number, 10), d.EventType+" "+d.EventID, state, clock(d.AcceptedAt), strconv.Itoa(d.Attempts), last)
	}
	return t.String()
}

// String says how a request went, on one line.
func (a *Attempt) String() string {
	var b strings.Builder
	if a.Status != nil && *a.Status != 0 {
		fmt.Fprintf(&b, "%d in %.0f ms", *a.Status, a.LatencyMS)
	}
	if a.Error != nil && *a.Error != "" {
		if b.Len() > 0 {
			b.WriteString(": ")
		}
		b.WriteString(Printable(*a.Error))
	}
	return b.String()
}
