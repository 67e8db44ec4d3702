package query

import (
	"slices"
	"strings"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store"
)

type aggregate uint8

const (
	none aggregate = iota
	sum
	avg
	highest
)

func aggregateOf(name string) aggregate {
	switch name {
	case "sum":
		return sum
	case "avg":
		return avg
	case "max":
		return highest
	}
	return none
}

// Aggregates reports whether sums over groups are asked for, and which.
func (q *Query) Aggregates() (function, by string, ok bool) {
	return [...]string{"", "sum", "avg", "max"}[q.aggregate], q.by, q.aggregate != none
}

// A Figure is one of the numbers that a group has.
type Figure uint8

// The figures.
const (
	CPUUsed            Figure = iota // CPUs: utilization times how many there are
	CPUCount                         //
	MemoryUsed                       // By
	MemoryLimit                      // By
	StorageUsed                      // By
	StorageLimit                     // By
	GPUCount                         //
	GPUUsed                          // GPUs: the sum of their utilizations
	ProcessCount                     //
	CPUUtilization                   // 0..1, and as those below of no meaning as a sum
	MemoryUtilization                // 0..1
	StorageUtilization               // 0..1
	NumFigures
)

// FigureNames are the names of the figures.
func FigureNames() [NumFigures]string {
	return [...]string{
		"cpu_used", "cpu_count", "memory_used_bytes", "memory_limit_bytes", "storage_used_bytes", "storage_limit_bytes",
		"gpu_count", "gpu_used", "process_count", "cpu_utilization", "memory_utilization", "storage_utilization",
	}
}

// A Group is what the instances of a group have together.
type Group struct {
	Key       string
	HasKey    bool // false: those without an owner, or without the label
	Instances int
	figures   [NumFigures]float64
	known     [NumFigures]int // of how many instances
	function  aggregate
}

// Figure returns a figure, and whether it is known of any instance.
func (g *Group) Figure(f Figure) (float64, bool) {
	n := g.known[f]
	switch {
	case n == 0, g.function == sum && f >= CPUUtilization:
		return 0, false
	case g.function == avg:
		return g.figures[f] / float64(n), true
	default:
		return g.figures[f], true
	}
}

func (g *Group) add(d *store.Data) {
	g.Instances++
	var values [NumFigures]float64
	var known [NumFigures]bool
	for f, s := range [...]store.Scalar{
		CPUCount: store.CPUCount, MemoryUsed: store.MemoryUsed, MemoryLimit: store.MemoryLimit,
		StorageUsed: store.StorageUsed, StorageLimit: store.StorageLimit,
		ProcessCount: store.ProcessCount, CPUUtilization: store.CPUUtilization, MemoryUtilization: store.MemoryUtilization,
	} {
		switch Figure(f) { //nolint:gosec // an index
		case CPUUsed, GPUCount, GPUUsed:
		default:
			values[f], known[f] = d.Levels.Scalar(s)
		}
	}
	values[CPUUsed], known[CPUUsed] = values[CPUUtilization]*values[CPUCount], known[CPUUtilization] && known[CPUCount]
	values[StorageUtilization], known[StorageUtilization] = d.Levels.StorageUtilization()
	if d.Levels.At != 0 {
		values[GPUCount], known[GPUCount] = float64(len(d.Levels.GPUs)), true
	}
	for i := range d.Levels.GPUs {
		v, ok := d.Levels.GPUs[i].Value(store.GPUUtilization)
		values[GPUUsed] += v
		known[GPUUsed] = known[GPUUsed] || ok
	}
	for f, ok := range known {
		if !ok {
			continue
		}
		g.known[f]++
		if g.function == highest {
			g.figures[f] = max(g.figures[f], values[f])
		} else {
			g.figures[f] += values[f]
		}
	}
}

// Groups returns a page of the groups of the instances that are asked for and seen,
// in order of their keys and first the one without, and the cursor of the next page.
func (q *Query) Groups(all []*store.Entry, sees Viewer) (groups []*Group, next string) {
	byKey := map[string]*Group{}
	var without *Group
	for _, e := range all {
		e.Read(func(d *store.Data) {
			if !sees(d.Instance.UserID, d.Instance.OrgID) || !q.Matches(d) {
				return
			}
			key, has := q.key(d)
			g := byKey[key]
			if !has {
				g = without
			}
			if g == nil {
				g = &Group{Key: key, HasKey: has, function: q.aggregate}
				if groups = append(groups, g); has {
					byKey[key] = g
				} else {
					without = g
				}
			}
			g.add(d)
		})
	}
	slices.SortFunc(groups, compareGroups)
	if q.after != nil {
		last := &Group{Key: q.after.Text, HasKey: q.after.Number == 1}
		groups = slices.DeleteFunc(groups, func(g *Group) bool { return compareGroups(g, last) <= 0 })
	}
	if len(groups) > q.limit {
		groups = groups[:q.limit]
		last := groups[len(groups)-1]
		c := cursor{Query: q.fingerprint(), Text: last.Key}
		if last.HasKey {
			c.Number = 1
		}
		next = c.encode()
	}
	return groups, next
}

// Sum returns what all instances that are seen of an owner have together.
func (q *Query) Sum(all []*store.Entry, sees Viewer) *Group {
	g := &Group{function: sum}
	for _, e := range all {
		e.Read(func(d *store.Data) {
			if sees(d.Instance.UserID, d.Instance.OrgID) && q.Matches(d) {
				g.add(d)
			}
		})
	}
	return g
}

func compareGroups(a, b *Group) int {
	if a.HasKey != b.HasKey {
		if a.HasKey {
			return 1
		}
		return -1
	}
	return strings.Compare(a.Key, b.Key)
}

func (q *Query) key(d *store.Data) (string, bool) {
	switch q.by {
	case "user":
		return d.Instance.UserID, d.Instance.UserID != ""
	case "org":
		return d.Instance.OrgID, d.Instance.OrgID != ""
	}
	return labelOf(d, strings.TrimPrefix(q.by, "label:"))
}
