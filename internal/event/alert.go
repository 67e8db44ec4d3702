package event

import (
	_ "embed" // of the schema
	"strconv"

	"github.com/google/uuid"
)

// TypeAlert is the event_type of what [AppendAlert] writes.
const TypeAlert = "pipeline_alert"

const alertVersion = "1.0"

// An Alert is a pipeline_alert event: something is wrong with metering or delivery, or no
// longer is.
type Alert struct {
	// Version is as written, "1.0"; may be of a later minor than this package writes.
	// AppendAlert does not look at it.
	Version string
	// ID is what repeats of the event share, and nothing else has; Episode is the same in
	// the event that it began with and the one that ended it.
	ID, Episode uuid.UUID
	Name        string // what is wrong, in one word with underscores
	State       AlertState
	// Reason says why it is over: cleared or forgotten; empty where it is not.
	Reason string
	// Source is what it is about: the id of a component or of a webhook.
	Source           string
	HostID, HostName string // of the collector
	Since            int64  // unix ns at which it began
	At               int64  // unix ns of what this says: of the beginning or of the end
	Details          []Detail
}

// An AlertState is what an [Alert] says of its episode.
type AlertState string

// The states.
const (
	AlertFiring   AlertState = "firing"
	AlertResolved AlertState = "resolved"
)

// Why an alert is over.
const (
	AlertCleared   = "cleared"   // it was found to be so
	AlertForgotten = "forgotten" // nobody said anything of it any more since a restart
)

// A Detail is one thing to know of an alert: a number where Numeric, else a text.
type Detail struct {
	Key     string
	Text    string
	Number  int64
	Numeric bool
}

//go:embed schema/pipeline_alert-1.0.json
var alertSchema string

// AlertSchema returns the JSON Schema (draft 2020-12) of the pipeline_alert event. The
// caller owns the bytes.
func AlertSchema() []byte { return []byte(alertSchema) }

// AppendAlert appends a pipeline_alert event to dst: one line of JSON without a line feed.
// Equal alerts give equal bytes. No two details have the same key; times are not negative.
func AppendAlert(dst []byte, a *Alert) []byte {
	dst = append(dst, `{"event_type":"pipeline_alert","version":"`...)
	dst = append(dst, alertVersion...)
	dst = append(dst, `","event_id":`...)
	dst = appendUUID(dst, a.ID)
	dst = append(dst, `,"timestamp":`...)
	dst = appendInt(dst, floorDiv(a.At, 1e9))
	dst = append(dst, `,"episode":`...)
	dst = appendUUID(dst, a.Episode)
	dst = append(dst, `,"alert":`...)
	dst = appendString(dst, a.Name)
	dst = append(dst, `,"state":`...)
	dst = appendString(dst, string(a.State))
	dst = append(dst, `,"reason":`...)
	dst = appendStringOrNull(dst, a.Reason)
	dst = append(dst, `,"source":`...)
	dst = appendString(dst, a.Source)
	dst = append(dst, `,"host":`...)
	dst = appendHost(dst, a.HostID, a.HostName)
	dst = append(dst, `,"since":`...)
	dst = AppendTime(dst, a.Since)
	dst = append(dst, `,"at":`...)
	dst = AppendTime(dst, a.At)
	dst = append(dst, `,"details":`...)
	open := len(dst)
	for i := range a.Details {
		d := &a.Details[i]
		dst = appendString(append(dst, ','), d.Key)
		dst = append(dst, ':')
		if d.Numeric {
			dst = appendInt(dst, d.Number)
		} else {
			dst = appendString(dst, d.Text)
		}
	}
	return append(closeObject(dst, open), '}')
}

// DecodeAlert reads one pipeline_alert event of any 1.x version, alone or in a CloudEvent, as
// [Decode] does. An event of a later minor is accepted, and what that minor added is
// ignored. The error is a [DecodeError] that wraps [ErrVersion], [ErrType] or
// [ErrMalformed].
func DecodeAlert(data []byte) (*Alert, error) {
	var r reader
	root := r.parse(data)
	root.head(TypeAlert)
	host := root.object("host")
	a := &Alert{
		Version: root.text("version"), ID: root.uuid("event_id"), Episode: root.uuid("episode"),
		Name: root.word("alert"), State: AlertState(root.text("state")), Reason: root.textOrNull("reason"),
		Source: root.text("source"), HostID: host.text("id"), HostName: host.text("name"),
		Since: root.time("since"), At: root.time("at"), Details: root.details("details"),
	}
	if a.State != AlertFiring && a.State != AlertResolved {
		root.fail("state", "is %q, want %s or %s", a.State, AlertFiring, AlertResolved)
	}
	if (a.State == AlertResolved) != (a.Reason != "") {
		root.fail("reason", "is %q, and state is %q: what is resolved has a reason, and nothing else", a.Reason, a.State)
	}
	if s := root.integer("timestamp"); s != floorDiv(a.At, 1e9) {
		root.fail("timestamp", "is %d, and at is %d whole seconds", s, floorDiv(a.At, 1e9))
	}
	if r.err != nil {
		return nil, r.err
	}
	return a, nil
}

// details reads an object of texts and integers.
func (o object) details(key string) (details []Detail) {
	of := o.object(key)
	for _, f := range of.all() {
		d := Detail{Key: string(f.key)}
		if f.value[0] == '"' {
			d.Text = unquote(f.value)
		} else {
			v, err := strconv.ParseInt(string(f.value), 10, 64)
			if err != nil {
				of.wrong(d.Key, f.value, "a string or a 64-bit integer")
			}
			d.Number, d.Numeric = v, true
		}
		details = append(details, d)
	}
	return details
}
