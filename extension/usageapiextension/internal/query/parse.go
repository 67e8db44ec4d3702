package query

import (
	"math"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/view"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

const (
	defaultLimit = 100
	maxLimit     = 1000
	maxLabels    = 16
	maxText      = 256 // of a value of a filter
)

// A Query says which instances, in which order, how many, and what of them.
type Query struct {
	user, org, hypervisor *string
	name                  string // a pattern; "" is any
	labels                []label
	level                 usage.ThresholdLevel // at least
	least                 [numMeasures]float64 // utilization; -1: any

	Fields view.Fields
	sort   sortKey
	desc   bool
	limit  int
	after  *cursor

	aggregate aggregate
	by        string // user, org, or label: and its key
}

type label struct {
	key, value string
	any        bool // any value
}

// Kinds of what parameters there may be.
const (
	Filters  = 1 << iota // which instances
	Paging               // order, limit, cursor
	Groups               // aggregate and by
	Selected             // fields
)

// A measure is a utilization that one can filter and sort by.
type measure uint8

const (
	cpu measure = iota
	memory
	storage
	gpu
	numMeasures
)

var measureNames = [numMeasures]string{"cpu", "memory", "storage", "gpu"}

// parser collects all that is wrong.
type parser struct {
	q       Query
	kinds   int
	values  url.Values
	invalid []problem.Invalid
}

// Parse reads the parameters of a request. The error is a [*problem.Error] that has
// all that is wrong.
func Parse(values url.Values, kinds int) (Query, error) {
	p := parser{kinds: kinds, values: values, q: Query{Fields: view.AllFields, limit: defaultLimit}}
	for i := range p.q.least {
		p.q.least[i] = -1
	}
	for _, name := range sortedKeys(values) {
		p.parameter(name, values[name])
	}
	p.together()
	if len(p.invalid) > 0 {
		e := problem.New(400, "the query is not valid")
		e.Invalid = p.invalid
		return Query{}, e
	}
	return p.q, nil
}

func sortedKeys(values url.Values) []string {
	keys := make([]string, 0, len(values))
	for k := range values {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (p *parser) fail(parameter, detail string) {
	const most = 32
	if len(p.invalid) < most {
		p.invalid = append(p.invalid, problem.Invalid{Parameter: shortened(parameter), Detail: detail})
	}
}

// shortened is a text that may be as long as anybody likes.
func shortened(s string) string {
	const most = 64
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

func quoted(s string) string { return strconv.Quote(shortened(s)) }

func (p *parser) parameter(name string, values []string) {
	if len(values) > 1 && name != "label" {
		p.fail(name, "is there more than once")
		return
	}
	kind, known := kindOf(name)
	switch {
	case !known || p.kinds&kind == 0:
		p.fail(name, "is no parameter of this resource")
		return
	case slices.ContainsFunc(values, func(v string) bool { return len(v) > maxText }) && name != "cursor" && name != "fields":
		p.fail(name, "is too long: at most "+strconv.Itoa(maxText)+" bytes")
		return
	}
	v := values[0]
	switch name {
	case "user":
		p.q.user = &v
	case "org":
		p.q.org = &v
	case "hypervisor":
		p.q.hypervisor = &v
	case "name":
		p.name(v)
	case "label":
		p.labels(values)
	case "threshold":
		p.threshold(v)
	case "min_cpu", "min_memory", "min_storage", "min_gpu":
		p.utilization(name, v)
	case "fields":
		var err error
		if p.q.Fields, err = view.ParseFields(v); err != nil {
			p.fail(name, shortenedDetail(err.Error()))
		}
	case "sort":
		p.sort(v)
	case "limit":
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > maxLimit {
			p.fail(name, "must be 1 to "+strconv.Itoa(maxLimit)+": it is "+quoted(v))
			return
		}
		p.q.limit = n
	case "aggregate":
		if p.q.aggregate = aggregateOf(v); p.q.aggregate == none {
			p.fail(name, "must be sum, avg or max: it is "+quoted(v))
		}
	case "by":
		p.by(v)
	}
}

func shortenedDetail(s string) string {
	const most = 512
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

// kindOf returns what kind of parameter that is.
func kindOf(name string) (kind int, known bool) {
	switch name {
	case "user", "org", "hypervisor", "name", "label", "threshold", "min_cpu", "min_memory", "min_storage", "min_gpu":
		return Filters, true
	case "sort", "limit", "cursor":
		return Paging, true
	case "aggregate", "by":
		return Groups, true
	case "fields":
		return Selected, true
	}
	return 0, false
}

func (p *parser) name(v string) {
	if _, err := path.Match(v, ""); err != nil || v == "" {
		p.fail("name", "must be a pattern such as web-*, with * for any text, ? for a character and [a-z] for one of a class: it is "+quoted(v))
		return
	}
	p.q.name = v
}

func (p *parser) labels(values []string) {
	if len(values) > maxLabels {
		p.fail("label", "is there too often: at most "+strconv.Itoa(maxLabels)+" times")
		return
	}
	for _, v := range values {
		key, value, has := strings.Cut(v, "=")
		if key == "" {
			p.fail("label", "must be key=value, or key for any value: it is "+quoted(v))
			return
		}
		p.q.labels = append(p.q.labels, label{key, value, !has})
	}
}

func (p *parser) threshold(v string) {
	if v == "ok" {
		return
	}
	level, ok := usage.ParseThresholdLevel(v)
	if !ok {
		p.fail("threshold", "must be ok, warning or critical: it is "+quoted(v))
		return
	}
	p.q.level = level
}

func (p *parser) utilization(name, v string) {
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || math.IsNaN(f) || f < 0 || f > 1 {
		p.fail(name, "must be 0 to 1, a share of what is allotted: it is "+quoted(v))
		return
	}
	p.q.least[slices.Index(measureNames[:], strings.TrimPrefix(name, "min_"))] = f
}

func (p *parser) sort(v string) {
	key, desc := strings.CutPrefix(v, "-")
	k, ok := sortKeyOf(key)
	if !ok {
		p.fail("sort", "must be id, name, cpu, memory, storage, gpu or threshold, with a - before it to begin with the highest: it is "+quoted(v))
		return
	}
	p.q.sort, p.q.desc = k, desc
}

func (p *parser) by(v string) {
	key, isLabel := strings.CutPrefix(v, "label:")
	if v != "user" && v != "org" && (!isLabel || key == "") {
		p.fail("by", "must be user, org, or label: and a key, such as label:env: it is "+quoted(v))
		return
	}
	p.q.by = v
}

// together looks at parameters that depend on each other.
func (p *parser) together() {
	q := &p.q
	if (q.aggregate == none) != (q.by == "") {
		p.fail("aggregate", "goes with by, and by with it: aggregate=sum&by=user")
	}
	if q.aggregate != none {
		for _, name := range []string{"sort", "fields"} {
			if p.values.Has(name) {
				p.fail(name, "has no meaning with aggregate: groups are in order of their keys")
			}
		}
	}
	if v := p.values.Get("cursor"); p.values.Has("cursor") && p.kinds&Paging != 0 {
		c, ok := decodeCursor(v)
		if !ok || c.Query != q.fingerprint() {
			p.fail("cursor", "is not one of this query: take next_cursor as it is, and leave everything else the same")
			return
		}
		q.after = &c
	}
}
