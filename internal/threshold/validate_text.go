package threshold

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

func (d *ruleDecoder) checkTexts() {
	r := d.rule
	switch {
	case r.ID == "":
		d.note("id", nil, "is missing: each rule has an id of its own")
	case len(r.ID) > MaxID:
		d.note("id", r.ID, fmt.Sprintf("must have at most %d bytes", MaxID))
		r.ID = "" // not to be repeated in every message
	default:
		if !clean(r.ID, "") || strings.ContainsAny(r.ID, " ,") {
			d.note("id", r.ID, "must have no spaces, commas or control characters")
		}
	}
	if len(r.Description) > MaxDescription {
		d.note("description", r.Description, fmt.Sprintf("must have at most %d bytes", MaxDescription))
	}
	if !clean(r.Description, "\n\t") {
		d.note("description", r.Description, "must have no control characters")
	}
	d.name("metric", r.Metric)
	if len(r.Unit) > maxUnit {
		d.note("unit", r.Unit, fmt.Sprintf("must have at most %d bytes", maxUnit))
	}
	if r.Action == "" {
		d.note("action", r.Action, "must be log, notify or a name")
	}
	d.name("action", r.Action)
	if len(r.Channels) > MaxChannels {
		d.note("channels", nil, fmt.Sprintf("are %d: at most %d", len(r.Channels), MaxChannels))
	}
	for i, c := range r.Channels {
		key := fmt.Sprintf("channels[%d]", i)
		if c == "" {
			d.note(key, c, "must not be empty")
		}
		d.name(key, c)
	}
	if len(r.Labels) > MaxLabels {
		d.note("labels", nil, fmt.Sprintf("are %d: at most %d", len(r.Labels), MaxLabels))
	}
	for _, l := range r.Labels {
		d.key("labels", l.Key)
		if len(l.Value) > MaxText || !clean(l.Value, "") {
			d.note(join("labels", short(l.Key)), l.Value, textRule)
		}
	}
}

var textRule = fmt.Sprintf("must have at most %d bytes and no control characters", MaxText)

func (d *ruleDecoder) name(key, value string) {
	if len(value) > MaxText || !clean(value, "") || strings.Contains(value, " ") {
		d.note(key, value, fmt.Sprintf("must have at most %d bytes, and no spaces or control characters", MaxText))
	}
}

func (d *ruleDecoder) key(of, key string) {
	if key == "" || len(key) > MaxText || !clean(key, "") {
		d.note(of, key, "must have keys of 1 to 256 bytes without control characters")
	}
}

// short is a key that may stand in a path.
func short(key string) string {
	if len(key) > 64 {
		return key[:64] + "..."
	}
	return key
}

// clean reports whether a text is UTF-8 without control characters but those allowed.
func clean(s, allowed string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) && !strings.ContainsRune(allowed, r)
	})
}

func (d *ruleDecoder) checkSelector() {
	s := &d.rule.Selector
	d.checkValues("selector.instance_id", &s.InstanceID)
	d.checkValues("selector.user_id", &s.UserID)
	d.checkValues("selector.org_id", &s.OrgID)
	d.checkMatchers("selector.labels", s.Labels)
	d.checkMatchers("attributes", d.rule.Attributes)
}

func (d *ruleDecoder) checkMatchers(key string, ms []Matcher) {
	if len(ms) > MaxLabels {
		d.note(key, nil, fmt.Sprintf("are %d: at most %d", len(ms), MaxLabels))
	}
	for i := range ms {
		d.key(key, ms[i].Key)
		d.checkValues(join(key, short(ms[i].Key)), &ms[i].Values)
	}
}

func (d *ruleDecoder) checkValues(key string, v *Values) {
	if len(v.Exact) > MaxValues {
		d.note(key, nil, fmt.Sprintf("has %d values: at most %d", len(v.Exact), MaxValues))
	}
	if len(v.Globs) > MaxGlobs {
		d.note(key, nil, fmt.Sprintf("has %d patterns: at most %d", len(v.Globs), MaxGlobs))
	}
	for _, texts := range [][]string{v.Exact, v.Globs} {
		for _, t := range texts {
			if len(t) > MaxText || !clean(t, "") {
				d.note(key, t, textRule)
			}
		}
	}
}
