package host

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// processes tells how many processes exist. The kernel makes the link count of
// /proc up from its own count of them (proc_root_getattr in fs/proc/root.c), so
// that one fstat(2) does instead of a walk over all of them. What is not procfs
// (a copy of it, or something that imitates it) is walked.
type processes struct {
	path   string
	fd     int
	open   bool
	walk   bool
	fixed  uint64 // links that are no processes
	fixed0 int64  // CLOCK_BOOTTIME ns at which they were counted
}

// recount is after how many ns the fixed links are counted anew: a driver that
// is loaded can add a folder.
const recount = 3600e9

// count returns the number of processes.
func (p *processes) count(now int64) (int64, error) {
	if !p.open || now-p.fixed0 >= recount {
		if err := p.begin(now); err != nil {
			return 0, err
		}
	}
	if p.walk {
		n, _, err := p.list()
		return n, err
	}
	links, err := p.links()
	if err != nil {
		p.close()
		return 0, err
	}
	return int64(links - min(p.fixed, links)), nil //nolint:gosec // a count of processes
}

func (p *processes) begin(now int64) error {
	if !p.open {
		fd, err := unix.Open(p.path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return &os.PathError{Op: "open", Path: p.path, Err: err}
		}
		p.fd, p.open = fd, true
	}
	numbered, folders, err := p.list()
	if err != nil {
		return err
	}
	links, err := p.links()
	if err != nil {
		return err
	}
	p.fixed, p.fixed0 = folders+2, now // . and the entry in the folder above
	// In a PID namespace only some are listed, and some come and go meanwhile;
	// but a link count with far fewer than are listed is no count of processes.
	p.walk = !isProcfs(p.path) || links < p.fixed+uint64(numbered)/2 //nolint:gosec // not negative
	return nil
}

// list counts the folders of /proc: those of processes and the others.
func (p *processes) list() (numbers int64, others uint64, err error) {
	entries, err := os.ReadDir(p.path)
	if err != nil {
		return 0, 0, err
	}
	for _, e := range entries {
		switch _, ok := number([]byte(e.Name())); {
		case !e.IsDir():
		case ok:
			numbers++
		default:
			others++
		}
	}
	return numbers, others, nil
}

func (p *processes) links() (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(p.fd, &st); err != nil {
		return 0, fmt.Errorf("%s: %w", filepath.Clean(p.path), err)
	}
	return uint64(st.Nlink), nil //nolint:unconvert // 32 bits on some machines
}

func isProcfs(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Type == unix.PROC_SUPER_MAGIC
}

func (p *processes) close() {
	if p.open {
		_ = unix.Close(p.fd) // opened for reading: nothing can be lost
		p.open = false
	}
}
