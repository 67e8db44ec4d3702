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
		d.check(false, "id", nil, "is missing: each rule has an id of its own")
	case len(r.ID) > MaxID:
		d.check(false, "id", r.ID, fmt.Sprintf("must have at most %d bytes", MaxID))
		r.ID = "" // not to be repeated in every message
	default:
		d.check(clean(r.ID, "") && !strings.ContainsAny(r.ID, " ,"), "id", r.ID, "must have no spaces, commas or control characters")
	}
	d.check(len(r.Description) <= MaxDescription, "description", r.Description, fmt.Sprintf("must have at most %d bytes", MaxDescription))
	d.check(clean(r.Description, "\n\t"), "description", r.Description, "must have no control characters")
	d.name("metric", r.Metric)
	d.check(len(r.Unit) <= maxUnit, "unit", r.Unit, fmt.Sprintf("must have at most %d bytes", maxUnit))
	d.check(r.Action != "", "action", r.Action, "must be log, notify or a name")
	d.name("action", r.Action)
	d.check(len(r.Channels) <= MaxChannels, "channels", nil, fmt.Sprintf("are %d: at most %d", len(r.Channels), MaxChannels))
	for i, c := range r.Channels {
		key := fmt.Sprintf("channels[%d]", i)
		d.check(c != "", key, c, "must not be empty")
		d.name(key, c)
	}
	d.check(len(r.Labels) <= MaxLabels, "labels", nil, fmt.Sprintf("are %d: at most %d", len(r.Labels), MaxLabels))
	for _, l := range r.Labels {
		d.key("labels", l.Key)
		d.check(len(l.Value) <= MaxText && clean(l.Value, ""), join("labels", short(l.Key)), l.Value, textRule)
	}
}

var textRule = fmt.Sprintf("must have at most %d bytes and no control characters", MaxText)

func (d *ruleDecoder) name(key, value string) {
	d.check(len(value) <= MaxText && clean(value, "") && !strings.Contains(value, " "), key, value,
		fmt.Sprintf("must have at most %d bytes, and no spaces or control characters", MaxText))
}

func (d *ruleDecoder) key(of, key string) {
	d.check(key != "" && len(key) <= MaxText && clean(key, ""), of, key, "has a key that is empty, has control characters, or more than 256 bytes")
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
	d.check(len(ms) <= MaxLabels, key, nil, fmt.Sprintf("are %d: at most %d", len(ms), MaxLabels))
	for i := range ms {
		d.key(key, ms[i].Key)
		d.checkValues(join(key, short(ms[i].Key)), &ms[i].Values)
	}
}

func (d *ruleDecoder) checkValues(key string, v *Values) {
	d.check(len(v.Exact) <= MaxValues, key, nil, fmt.Sprintf("has %d values: at most %d", len(v.Exact), MaxValues))
	d.check(len(v.Globs) <= MaxGlobs, key, nil, fmt.Sprintf("has %d patterns: at most %d", len(v.Globs), MaxGlobs))
	for _, texts := range [][]string{v.Exact, v.Globs} {
		for _, t := range texts {
			d.check(len(t) <= MaxText && clean(t, ""), key, t, textRule)
		}
	}
}
