package top

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Key is what rows are ordered by.
type Key int

// The keys. All begin with the highest but names, which begin with the first.
const (
	ByCPU Key = iota
	ByMemory
	ByDisk
	ByNetwork
	ByGPU
	ByName
	ByState
)

func keyNames() []string { return []string{"cpu", "mem", "disk", "net", "gpu", "name", "state"} }

// ParseKey returns the key of a name.
func ParseKey(name string) (Key, error) {
	if i := slices.Index(keyNames(), name); i >= 0 {
		return Key(i), nil
	}
	return 0, fmt.Errorf("is %q: use %s", name, strings.Join(keyNames(), ", "))
}

func (k Key) String() string { return keyNames()[k] }

// Sort orders rows by a key; what is not known is at the end, also in reverse, and what is
// equal is in the order of names and ids.
func Sort(rows []Row, k Key, reverse bool) {
	slices.SortFunc(rows, func(a, b Row) int {
		name := cmp.Or(cmp.Compare(a.label(), b.label()), cmp.Compare(a.ID, b.ID))
		if k == ByName {
			if reverse {
				return -name
			}
			return name
		}
		x, y := a.value(k), b.value(k)
		switch {
		case x == nil && y == nil:
			return name
		case x == nil:
			return 1
		case y == nil:
			return -1
		case reverse:
			return cmp.Or(cmp.Compare(*x, *y), name)
		default:
			return cmp.Or(cmp.Compare(*y, *x), name)
		}
	})
}

func (r *Row) value(k Key) *float64 {
	switch k {
	case ByCPU:
		return r.CPU
	case ByMemory:
		return r.Memory
	case ByDisk:
		return plus(r.DiskRead, r.DiskWrite)
	case ByNetwork:
		return plus(r.NetReceive, r.NetTransmit)
	case ByGPU:
		return r.GPU
	default:
		if rank := r.rank(); rank >= 0 {
			return new(float64(rank))
		}
		return nil
	}
}

// plus is what is known of a sum.
func plus(a, b *float64) *float64 {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	default:
		return new(*a + *b)
	}
}

// label is what an instance is called: its name, or else its id.
func (r *Row) label() string { return cmp.Or(r.Name, r.ID) }

func levels() []string { return []string{"ok", "warning", "critical"} }

// rank is the severity of the level; -1 where it is not known.
func (r *Row) rank() int {
	if r.Level == nil {
		return -1
	}
	return slices.Index(levels(), *r.Level)
}
