package threshold

import (
	"encoding/json"
	"strings"
	"time"
)

// Encode returns the rules as a JSON document that [Parse] reads as the same rules.
func Encode(rules []*Rule) ([]byte, error) {
	if rules == nil {
		rules = []*Rule{}
	}
	return json.Marshal(struct {
		Rules []*Rule `json:"rules"`
	}{rules})
}

// documentRule is a rule as a document has it. What is the default is left out.
type documentRule struct {
	ID             string            `json:"id"`
	Description    string            `json:"description,omitempty"`
	Enabled        *bool             `json:"enabled,omitempty"`
	Resource       Resource          `json:"resource,omitempty"`
	Metric         string            `json:"metric,omitempty"`
	Attributes     map[string]any    `json:"attributes,omitempty"`
	Type           Type              `json:"type"`
	Unit           string            `json:"unit,omitempty"`
	Limit          float64           `json:"limit,omitempty"`
	Warning        *float64          `json:"warning,omitempty"`
	Critical       *float64          `json:"critical,omitempty"`
	Clear          *float64          `json:"clear,omitempty"`
	Direction      Direction         `json:"direction,omitempty"`
	For            string            `json:"for,omitempty"`
	KeepFiringFor  string            `json:"keep_firing_for,omitempty"`
	RepeatInterval string            `json:"repeat_interval,omitempty"`
	NoData         NoData            `json:"no_data,omitempty"`
	NoDataAfter    string            `json:"no_data_after,omitempty"`
	Window         Window            `json:"window,omitempty"`
	Timezone       string            `json:"timezone,omitempty"`
	Per            Per               `json:"per,omitempty"`
	Action         string            `json:"action,omitempty"`
	Selector       *documentSelector `json:"selector,omitempty"`
	Channels       []string          `json:"channels,omitempty"`
	Labels         map[string]string `json:"labels,omitempty"`
}

type documentSelector struct {
	InstanceID any            `json:"instance_id,omitempty"`
	UserID     any            `json:"user_id,omitempty"`
	OrgID      any            `json:"org_id,omitempty"`
	Labels     map[string]any `json:"labels,omitempty"`
}

// MarshalJSON returns the rule as a document has it.
func (r *Rule) MarshalJSON() ([]byte, error) {
	plain := newRule(r.Source)
	d := documentRule{
		ID: r.ID, Description: r.Description, Resource: r.Resource, Metric: r.Metric,
		Attributes: written(r.Attributes), Type: r.Type, Unit: r.Unit, Limit: r.LimitWritten,
		Warning: number(r.HasWarning, r.Warning), Critical: number(r.HasCritical, r.Critical), Clear: number(r.HasClear, r.Clear),
		Direction: unless(r.Direction, plain.Direction), Window: r.Window, Per: unless(r.Per, plain.Per),
		For: duration(r.For, 0), KeepFiringFor: duration(r.KeepFiringFor, 0), RepeatInterval: duration(r.RepeatInterval, 0),
		NoData: unless(r.NoData, plain.NoData), NoDataAfter: duration(r.NoDataAfter, plain.NoDataAfter),
		Timezone: unless(r.Timezone.String(), plain.Timezone.String()), Action: unless(r.Action, plain.Action),
		Channels: r.Channels,
	}
	if !r.Enabled {
		d.Enabled = new(bool)
	}
	if r.Type == Percentage {
		d.Unit = r.LimitUnit
	}
	s := documentSelector{r.Selector.InstanceID.written(), r.Selector.UserID.written(), r.Selector.OrgID.written(), written(r.Selector.Labels)}
	if s.InstanceID != nil || s.UserID != nil || s.OrgID != nil || s.Labels != nil {
		d.Selector = &s
	}
	for _, l := range r.Labels {
		if d.Labels == nil {
			d.Labels = map[string]string{}
		}
		d.Labels[l.Key] = l.Value
	}
	return json.Marshal(d)
}

func unless[T comparable](v, normal T) (none T) {
	if v == normal {
		return none
	}
	return v
}

func number(has bool, v float64) *float64 {
	if !has {
		return nil
	}
	return &v
}

func duration(v, normal time.Duration) string {
	if v == normal {
		return ""
	}
	return v.String()
}

func written(ms []Matcher) map[string]any {
	if len(ms) == 0 {
		return nil
	}
	m := make(map[string]any, len(ms))
	for i := range ms {
		m[ms[i].Key] = ms[i].Values.written()
	}
	return m
}

var globQuotes = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

// written returns a text, a list of them, or nil where every text is taken.
func (v *Values) written() any {
	texts := make([]string, 0, len(v.Exact)+len(v.Globs))
	for _, e := range v.Exact {
		texts = append(texts, globQuotes.Replace(e))
	}
	texts = append(texts, v.Globs...)
	switch len(texts) {
	case 0:
		return nil
	case 1:
		return texts[0]
	default:
		return texts
	}
}
