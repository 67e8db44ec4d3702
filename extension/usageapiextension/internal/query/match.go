package query

import (
	"path"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store"
)

// A Viewer tells whether one sees what is of an owner.
type Viewer func(user, org string) bool

// Matches reports whether an instance is one of those that are asked for.
func (q *Query) Matches(d *store.Data) bool {
	i := &d.Instance
	switch {
	case q.user != nil && *q.user != i.UserID,
		q.org != nil && *q.org != i.OrgID,
		q.hypervisor != nil && *q.hypervisor != i.Hypervisor,
		q.level > 0 && d.Level() < q.level:
		return false
	}
	if q.name != "" {
		if ok, _ := path.Match(q.name, i.Name); !ok { // the pattern was checked
			return false
		}
	}
	for _, l := range q.labels {
		if v, has := labelOf(d, l.key); !has || !l.any && v != l.value {
			return false
		}
	}
	for m, least := range q.least {
		if least < 0 {
			continue
		}
		if v, known := measureOf(d, measure(m)); !known || v < least { //nolint:gosec // an index
			return false
		}
	}
	return true
}

func labelOf(d *store.Data, key string) (string, bool) {
	for _, l := range d.Instance.Labels {
		if l.Key == key {
			return l.Value, true
		}
	}
	return "", false
}

// measureOf returns a utilization; of several GPUs it is the highest.
func measureOf(d *store.Data, m measure) (float64, bool) {
	switch m {
	case cpu:
		return d.Levels.Scalar(store.CPUUtilization)
	case memory:
		return d.Levels.Scalar(store.MemoryUtilization)
	case storage:
		return d.Levels.StorageUtilization()
	default:
		return d.Levels.GPUUtilization()
	}
}
