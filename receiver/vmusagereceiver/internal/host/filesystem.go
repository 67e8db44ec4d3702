package host

import (
	"fmt"
	"math"
	"strings"

	"golang.org/x/sys/unix"
)

// A Filesystem is a mounted file system that counts, and what statfs(2) said.
type Filesystem struct {
	Device, MountPoint, Type string
	Total, Free, Available   uint64 // bytes; Available is what users other than root can have of Free
}

// Used is what is not free.
func (f *Filesystem) Used() uint64 { return f.Total - min(f.Free, f.Total) }

// fill takes over sizes; see statfs(2). What does not fit into 63 bits comes
// from broken file systems and is an error.
func (f *Filesystem) fill(s *unix.Statfs_t) error {
	size := uint64(s.Frsize) //nolint:gosec // checked below
	if size == 0 {
		size = uint64(s.Bsize) //nolint:gosec // checked below
	}
	if size == 0 || size > 1<<30 || s.Blocks > math.MaxInt64/size {
		return fmt.Errorf("statfs says %d blocks of %d bytes", s.Blocks, size)
	}
	f.Total = s.Blocks * size
	f.Free = min(s.Bfree, s.Blocks) * size
	f.Available = min(s.Bavail, s.Bfree, s.Blocks) * size
	return nil
}

// Storage sums up the file systems, in bytes. The datasets of a ZFS pool share
// what is free: it counts once for each pool.
func (s *Snapshot) Storage() (used, total uint64) {
	for i := range s.Filesystems {
		f := &s.Filesystems[i]
		used += f.Used()
		if f.Type != "zfs" {
			total += f.Total
			continue
		}
		total += f.Used()
		if pool, free := f.pool(), f.Free; !hasPool(s.Filesystems[:i], pool) {
			for j := range s.Filesystems[i:] {
				if o := &s.Filesystems[i+j]; o.Type == "zfs" && o.pool() == pool {
					free = max(free, o.Free) // a quota can leave a dataset less
				}
			}
			total += free
		}
	}
	return used, total
}

// pool is the first part of a dataset's name.
func (f *Filesystem) pool() string {
	name, _, _ := strings.Cut(f.Device, "/")
	return name
}

func hasPool(fs []Filesystem, pool string) bool {
	for i := range fs {
		if fs[i].Type == "zfs" && fs[i].pool() == pool {
			return true
		}
	}
	return false
}
