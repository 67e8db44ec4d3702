package threshold

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // for systems without, such as containers made from scratch
)

func (d *ruleDecoder) is(key string, n *node, kind nodeKind, remedy string) bool {
	if n.kind == kind {
		return true
	}
	var value any
	detail := "must be " + kind.String() + remedy
	switch n.kind {
	case textNode:
		value = n.text
	case numberNode:
		value = unquoted(n.text)
	case boolNode:
		value = n.yes
	default:
		detail += ", not " + n.kind.String()
	}
	d.fault(key, value, detail)
	return false
}

// unquoted is a text that is shown without quotes.
type unquoted string

func (d *ruleDecoder) text(key string, n *node) string {
	remedy := ""
	if n.kind == numberNode || n.kind == boolNode {
		remedy = `: put it in quotes`
	}
	if !d.is(key, n, textNode, remedy) {
		return ""
	}
	return n.text
}

func (d *ruleDecoder) bool(key string, n *node) bool {
	return d.is(key, n, boolNode, "") && n.yes
}

// number returns a number that may be NaN or infinite; NaN where it is none.
func (d *ruleDecoder) number(key string, n *node) float64 {
	remedy := ""
	if n.kind == textNode {
		remedy = " without quotes or unit, such as 80"
	}
	if !d.is(key, n, numberNode, remedy) {
		return math.NaN()
	}
	return n.number
}

func (d *ruleDecoder) duration(key string, n *node) time.Duration {
	const remedy = " with a number and a unit, such as 30s, 5m or 1h30m"
	if !d.is(key, n, textNode, remedy) {
		return 0
	}
	v, err := time.ParseDuration(n.text)
	if err != nil {
		d.fault(key, n.text, "must be a duration"+remedy)
	}
	return v
}

func (d *ruleDecoder) zone(key string, n *node) *time.Location {
	name := d.text(key, n)
	if zone := d.zones[name]; zone != nil {
		return zone
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" || len(name) > MaxText {
		d.fault(key, name, "must be a name of the IANA time zone database, such as UTC or Europe/Berlin")
		return time.UTC
	}
	d.zones[name] = zone
	return zone
}

// texts reads a text or a list of texts.
func (d *ruleDecoder) texts(key string, n *node) []string {
	if n.kind != listNode {
		if n.kind == mapNode {
			d.is(key, n, textNode, " or a list of texts")
			return nil
		}
		if text := d.text(key, n); text != "" || n.kind == textNode {
			return []string{text}
		}
		return nil
	}
	texts := make([]string, 0, len(n.items))
	for i := range n.items {
		item := &n.items[i]
		at := fmt.Sprintf("%s[%d]", key, i)
		if item.kind == nullNode {
			d.fault(at, nil, "must be a text, not nothing")
			continue
		}
		texts = append(texts, d.text(at, item))
	}
	return texts
}

// values reads the texts and patterns that something may be.
func (d *ruleDecoder) values(key string, n *node) Values {
	before := len(d.faults)
	texts := d.texts(key, n)
	var v Values
	if len(d.faults) > before {
		return v
	}
	if len(texts) == 0 {
		d.fault(key, nil, `is an empty list, so nothing matches: leave it out for all, or write "*" for all that have a value`)
	}
	for _, text := range texts {
		if f := v.add(text); f != "" {
			d.fault(key, text, f)
		}
	}
	v.normalize()
	return v
}

// add takes a text or a pattern, and says what is wrong with it.
func (v *Values) add(text string) string {
	switch {
	case text == "":
		return `write "*" for all that have a value, or leave it out for all`
	case !isGlob(text):
		v.Exact = append(v.Exact, text)
		return ""
	}
	if f := checkGlob(text); f != "" {
		return "the pattern " + f
	}
	if strings.ContainsAny(strings.NewReplacer(`\\`, "", `\*`, "", `\?`, "", `\[`, "").Replace(text), `*?[\`) {
		v.Globs = append(v.Globs, text)
		return ""
	}
	v.Exact = append(v.Exact, globEscapes.Replace(text))
	return ""
}

var globEscapes = strings.NewReplacer(`\\`, `\`, `\*`, `*`, `\?`, `?`, `\[`, `[`)

func (v *Values) normalize() {
	slices.Sort(v.Exact)
	v.Exact = slices.Compact(v.Exact)
	slices.Sort(v.Globs)
	v.Globs = slices.Compact(v.Globs)
}

func (d *ruleDecoder) matchers(key string, n *node) []Matcher {
	if !d.is(key, n, mapNode, ` of names and values, such as {disk.io.direction: read}`) {
		return nil
	}
	var ms []Matcher
	d.fields(key, n, nil, func(name string, n *node) {
		ms = append(ms, Matcher{name, d.values(join(key, name), n)})
	})
	slices.SortFunc(ms, func(a, b Matcher) int { return cmp.Compare(a.Key, b.Key) })
	return ms
}

func (d *ruleDecoder) labels(key string, n *node) []Label {
	if !d.is(key, n, mapNode, " of names and texts, such as {team: billing}") {
		return nil
	}
	var ls []Label
	d.fields(key, n, nil, func(name string, n *node) {
		ls = append(ls, Label{name, d.text(join(key, name), n)})
	})
	slices.SortFunc(ls, func(a, b Label) int { return cmp.Compare(a.Key, b.Key) })
	return ls
}

func (d *ruleDecoder) selector(key string, n *node) {
	if !d.is(key, n, mapNode, ` such as {user_id: "*"}`) {
		return
	}
	s := &d.rule.Selector
	d.fields(key, n, []string{"user_id", "org_id", "instance_id", "labels"}, func(name string, n *node) {
		at := join(key, name)
		switch name {
		case "user_id":
			s.UserID = d.values(at, n)
		case "org_id":
			s.OrgID = d.values(at, n)
		case "instance_id":
			s.InstanceID = d.values(at, n)
		case "labels":
			s.Labels = d.matchers(at, n)
		}
	})
}
