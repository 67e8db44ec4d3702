package threshold

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vmusage/otelcol-vmusage/internal/nearest"
)

// A decoder reads the rules of one document.
type decoder struct {
	options Options
	rules   []*Rule
	ids     map[string]place // of all rules so far
	zones   map[string]*time.Location
	problem DocumentError
	index   int // of the next rule
	hasList bool
}

type place struct{ index, line int }

func newDecoder(o Options) *decoder {
	return &decoder{options: o, ids: map[string]place{}, zones: map[string]*time.Location{"": time.UTC, "UTC": time.UTC}}
}

func (d *decoder) done() ([]*Rule, error) {
	if err := d.problem.err(); err != nil {
		return nil, err
	}
	return d.rules, nil
}

// document notes a problem that is not about a rule.
func (d *decoder) document(line int, key, detail string) {
	d.problem.add(Problem{Line: line, Index: -1, Key: key, Detail: detail})
}

// stop notes why reading ends here.
func (d *decoder) stop(err error) {
	p := Problem{Index: -1, Detail: err.Error()}
	if stop, ok := errors.AsType[*stopError](err); ok {
		p.Line = stop.line
	}
	d.problem.addLast(p)
}

func (d *decoder) topLevel(line int) {
	d.document(line, "", "the document is no list of rules: write rules: and a list below it")
}

// topKey reports whether a key of the document is the one that holds rules.
func (d *decoder) topKey(line int, key string) bool {
	if key != "rules" {
		d.document(line, key, "is no key of a document: it has only rules")
		return false
	}
	if d.hasList {
		d.document(line, key, "is there twice")
		return false
	}
	d.hasList = true
	return true
}

// topDone notes that there was no list.
func (d *decoder) topDone(line int) {
	if !d.hasList && len(d.problem.Problems) == 0 {
		d.document(line, "rules", "is missing: write rules: [] for no rules")
	}
}

// rule takes the next rule of the document, and reports whether there may be more.
func (d *decoder) rule(n *node) bool {
	index := d.index
	d.index++
	if d.index > MaxRules {
		d.document(n.line, "rules", fmt.Sprintf("has more than %d rules", MaxRules))
		return false
	}
	r := newRule(d.options.Source)
	rd := ruleDecoder{decoder: d, rule: r, node: n}
	rd.decode()
	if first, twice := d.ids[r.ID]; twice {
		rd.fault("id", r.ID, "that is the id of "+first.String()+", too: each rule has one of its own")
	} else if r.ID != "" {
		d.ids[r.ID] = place{index, n.line}
	}
	problems := make([]Problem, 0, len(rd.faults))
	for _, f := range rd.faults {
		problems = append(problems, Problem{Line: n.lineOf(topOf(f.key)), Index: index, Rule: r.ID, Key: f.key, Value: shown(f.value), Detail: f.detail})
	}
	slices.SortStableFunc(problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	for _, p := range problems {
		d.problem.add(p)
	}
	if len(d.problem.Problems) == 0 {
		d.rules = append(d.rules, r)
		return true
	}
	d.rules = nil
	if d.problem.More > maxCounted {
		d.problem.addLast(Problem{Line: n.line, Index: -1, Detail: "there are so many problems that the rest was not read"})
		return false
	}
	return true
}

// maxCounted is how many problems are counted, told or not, before reading ends.
const maxCounted = 10_000

func (p place) String() string {
	if p.line == 0 {
		return fmt.Sprintf("rules[%d]", p.index)
	}
	return fmt.Sprintf("rules[%d] in line %d", p.index, p.line)
}

// A ruleDecoder reads one rule, as far as it can be read.
type ruleDecoder struct {
	*decoder
	rule   *Rule
	node   *node
	faults []fault
	meant  []string // keys that something unknown is taken for
}

func (d *ruleDecoder) decode() {
	if d.node.kind != mapNode {
		d.fault("", nil, "a rule is a map such as {id: cpu-high, resource: cpu, type: percentage, warning: 80}, and this is "+d.node.kind.String())
		return
	}
	d.fields("", d.node, ruleKeys, d.field)
	d.validate()
}

func (d *ruleDecoder) fault(key string, value any, detail string) {
	d.faults = append(d.faults, fault{key, value, detail})
}

// faulty reports whether a key, or what is below it, has a fault already.
func (d *ruleDecoder) faulty(key string) bool {
	for i := range d.faults {
		if topOf(d.faults[i].key) == topOf(key) {
			return true
		}
	}
	return false
}

// fields calls take for each field of a map that has a known key and a value.
func (d *ruleDecoder) fields(path string, n *node, known []string, take func(key string, n *node)) {
	for i := range n.fields {
		f := &n.fields[i]
		key := join(path, f.key)
		switch {
		case hasField(n.fields[:i], f.key):
			d.fault(key, nil, "is there twice")
		case known != nil && !slices.Contains(known, f.key):
			detail, meant := nearest.Unknown(f.key, known)
			d.fault(key, nil, detail)
			d.meant = append(d.meant, join(path, meant))
		case f.value.kind != nullNode:
			take(f.key, &f.value)
		}
	}
}

var ruleKeys = []string{
	"id", "description", "enabled", "resource", "metric", "attributes", "type", "unit", "limit",
	"warning", "critical", "clear", "direction", "for", "keep_firing_for", "repeat_interval",
	"no_data", "no_data_after", "window", "timezone", "per", "action", "selector", "channels", "labels",
}

func (d *ruleDecoder) field(key string, n *node) {
	r := d.rule
	switch key {
	case "id":
		r.ID = d.text(key, n)
	case "description":
		r.Description = d.text(key, n)
	case "enabled":
		r.Enabled = d.bool(key, n)
	case "resource":
		r.Resource = Resource(d.text(key, n))
	case "metric":
		r.Metric = d.text(key, n)
	case "attributes":
		r.Attributes = d.matchers(key, n)
	case "type":
		r.Type = Type(d.text(key, n))
	case "unit":
		r.Unit = d.text(key, n)
	case "limit":
		r.LimitWritten = d.number(key, n)
		if r.LimitWritten == 0 {
			d.fault(key, 0, "0 would be 100 %: leave limit out, or write what 100 % is")
		}
	case "warning":
		r.Warning, r.HasWarning = d.number(key, n), true
	case "critical":
		r.Critical, r.HasCritical = d.number(key, n), true
	case "clear":
		r.Clear, r.HasClear = d.number(key, n), true
	case "direction":
		r.Direction = Direction(d.text(key, n))
	case "for":
		r.For = d.duration(key, n)
	case "keep_firing_for":
		r.KeepFiringFor = d.duration(key, n)
	case "repeat_interval":
		r.RepeatInterval = d.duration(key, n)
	case "no_data":
		r.NoData = NoData(d.text(key, n))
	case "no_data_after":
		r.NoDataAfter = d.duration(key, n)
	case "window":
		r.Window = Window(d.text(key, n))
	case "timezone":
		r.Timezone = d.zone(key, n)
	case "per":
		r.Per = Per(d.text(key, n))
	case "action":
		r.Action = d.text(key, n)
	case "selector":
		d.selector(key, n)
	case "channels":
		r.Channels = d.texts(key, n)
	case "labels":
		r.Labels = d.labels(key, n)
	}
}
