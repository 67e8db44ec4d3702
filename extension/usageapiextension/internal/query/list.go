package query

import (
	"cmp"
	"slices"
	"strings"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store"
)

type sortKey uint8

const (
	byID sortKey = iota
	byName
	byThreshold
	byMeasure // and those after it, one for each measure
)

func sortKeyOf(name string) (sortKey, bool) {
	switch name {
	case "id":
		return byID, true
	case "name":
		return byName, true
	case "threshold":
		return byThreshold, true
	}
	if m := slices.Index(measureNames[:], name); m >= 0 {
		return byMeasure + sortKey(m), true //nolint:gosec // an index
	}
	return 0, false
}

// row is an instance and where it belongs in the order.
type row struct {
	number float64
	text   string
	entry  *store.Entry
}

// rank returns where an instance belongs. What is not known is less than anything.
func (q *Query) rank(d *store.Data) (number float64, text string) {
	switch {
	case q.sort == byName:
		return 0, d.Instance.Name
	case q.sort == byThreshold:
		return float64(d.Level()), ""
	case q.sort >= byMeasure:
		if v, ok := measureOf(d, measure(q.sort-byMeasure)); ok {
			return v, ""
		}
		return -1, ""
	}
	return 0, ""
}

func (q *Query) compare(a, b *row) int {
	c := cmp.Compare(a.number, b.number)
	if c == 0 {
		c = strings.Compare(a.text, b.text)
	}
	if c == 0 {
		c = strings.Compare(a.entry.ID(), b.entry.ID())
	}
	if q.desc {
		return -c
	}
	return c
}

// after reports whether a row comes after where the page before ended.
func (q *Query) isAfter(r *row) bool {
	if q.after == nil {
		return true
	}
	c := cmp.Compare(r.number, q.after.Number)
	if c == 0 {
		c = strings.Compare(r.text, q.after.Text)
	}
	if c == 0 {
		c = strings.Compare(r.entry.ID(), q.after.ID)
	}
	return c > 0 != q.desc && c != 0
}

// Page returns a page of the instances that are asked for and seen, and the cursor of
// the next page; "" where there is none. Instances that change their place while
// one turns pages may be missed, or come twice; in the order of ids none does.
func (q *Query) Page(all []*store.Entry, sees Viewer) (page []*store.Entry, next string) {
	rows := q.rows(all, sees)
	if q.sort != byID {
		slices.SortFunc(rows, func(a, b row) int { return q.compare(&a, &b) })
	}
	more := len(rows) > q.limit
	if more {
		rows = rows[:q.limit]
		last := rows[len(rows)-1]
		c := cursor{Query: q.fingerprint(), Number: last.number, Text: last.text, ID: last.entry.ID()}
		next = c.encode()
	}
	page = make([]*store.Entry, len(rows))
	for i := range rows {
		page[i] = rows[i].entry
	}
	return page, next
}

// rows returns what matches; in the order of ids no more than are needed.
func (q *Query) rows(all []*store.Entry, sees Viewer) []row {
	rows := make([]row, 0, q.limit+1)
	for i := range all {
		e := all[i]
		if q.sort == byID && q.desc {
			e = all[len(all)-1-i]
		}
		r := row{entry: e}
		if q.sort == byID && !q.isAfter(&r) {
			continue
		}
		matches := false
		e.Read(func(d *store.Data) {
			if matches = sees(d.Instance.UserID, d.Instance.OrgID) && q.Matches(d); matches {
				r.number, r.text = q.rank(d)
			}
		})
		if !matches || !q.isAfter(&r) {
			continue
		}
		if rows = append(rows, r); q.sort == byID && len(rows) > q.limit {
			break
		}
	}
	return rows
}
