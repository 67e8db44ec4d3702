package event

import (
	"encoding/json"

	"github.com/google/uuid"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// refViolation is the event for encoding/json: the contract a second time.
// Pointers to structs are absent in 1.0.
type refViolation struct {
	Type       string     `json:"event_type"`
	Version    string     `json:"version"`
	ID         *uuid.UUID `json:"event_id,omitempty"`
	Config     ordered    `json:"config"`
	Current    float64    `json:"current_value"`
	Threshold  float64    `json:"threshold_value"`
	Percentage float64    `json:"percentage"`
	Timestamp  int64      `json:"timestamp"`
	Instance   string     `json:"instance_id"`
	User       string     `json:"user_id"`
	*refEpisode
}

type refEpisode struct {
	Org         *string  `json:"org_id"`
	State       string   `json:"state"`
	Reason      *string  `json:"reason"`
	Level       string   `json:"level"`
	Ratio       *float64 `json:"ratio"`
	Unit        string   `json:"unit"`
	Limit       *float64 `json:"limit"`
	Series      string   `json:"series"`
	TimestampNS int64    `json:"timestamp_ns"`
	Episode     struct {
		ID    uuid.UUID `json:"id"`
		Since int64     `json:"since_ns"`
		Count uint32    `json:"count"`
	} `json:"episode"`
	Suppressed uint32     `json:"suppressed"`
	Window     *refWindow `json:"window"`
	Who        struct {
		Name       string `json:"name"`
		Hypervisor string `json:"hypervisor"`
	} `json:"instance"`
	Host struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"host"`
	Labels ordered `json:"labels"`
}

type refWindow struct {
	Start int64 `json:"start_ns"`
	End   int64 `json:"end_ns"`
}

func unless[T comparable](absent bool, v T) *T {
	if absent {
		return nil
	}
	return &v
}

func violationReference(v Version, p *usage.Violation) refViolation {
	r := &p.Rule
	e := refViolation{
		Type: "threshold_violation", Version: v.String(), Current: p.Value, Threshold: p.Threshold, Percentage: percentage(p.Ratio),
		Timestamp: floorOf(p.At, 1e9), Instance: p.Instance.ID, User: p.Instance.UserID,
	}
	e.Config = ordered{
		{"id", r.ID},
		{"description", r.Description},
		{"resource", unless(r.Resource == "", r.Resource)},
		{"metric", unless(r.Metric == "", r.Metric)},
		{"type", r.Type},
		{"unit", r.Unit},
		{"direction", r.Direction},
		{"warning", unless(!r.HasWarning, r.Warning)},
		{"critical", unless(!r.HasCritical, r.Critical)},
		{"clear", unless(!r.HasClear, r.Clear)},
		{"window", unless(r.Window == "", r.Window)},
	}
	if v == V1_1 {
		e.Config.add("timezone", unless(r.Timezone == "", r.Timezone))
	}
	e.Config.add("per", r.Per)
	e.Config.add("action", r.Action)
	channels := []json.RawMessage{}
	for _, c := range r.Channels {
		text, _ := refJSON(c) // with the escapes of ours
		channels = append(channels, text)
	}
	e.Config.add("channels", channels)
	e.Config.add("labels", refLabels(r.Labels))
	if v == V1_0 {
		return e
	}
	e.ID = &p.ID
	x := &refEpisode{
		Org: unless(p.Instance.OrgID == "", p.Instance.OrgID), State: string(p.State), Reason: unless(p.Reason == "", p.Reason), Level: p.Level.String(),
		Ratio: unless(p.Threshold == 0, p.Ratio), Unit: r.Unit, Limit: unless(p.Limit == 0, p.Limit), Series: p.Series,
		TimestampNS: p.At, Suppressed: p.Suppressed, Labels: refLabels(p.Instance.Labels),
	}
	x.Episode.ID, x.Episode.Since, x.Episode.Count = p.Episode, p.Since, p.Count
	if r.Window != "" {
		x.Window = &refWindow{p.WindowStart, p.WindowEnd}
	}
	x.Who.Name, x.Who.Hypervisor = p.Instance.Name, p.Instance.Hypervisor
	x.Host.ID, x.Host.Name = p.Instance.HostID, p.Instance.HostName
	e.refEpisode = x
	return e
}

func refLabels(labels []usage.Label) ordered {
	o := ordered{}
	for _, l := range labels {
		o.add(l.Key, l.Value)
	}
	return o
}
