package host

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// onNetwork reports whether file systems of a type lie on another machine.
func onNetwork(fsType string) bool {
	switch fsType {
	case "9p", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs",
		"glusterfs", "gpfs", "lustre", "nfs", "nfs4", "smb3", "smbfs", "virtiofs":
		return true
	}
	return false
}

// virtual reports whether file systems of a type lie on no block device of their
// own, whatever their source is called, or are read-only images.
func virtual(fsType string) bool {
	switch fsType {
	case "aufs", "autofs", "cramfs", "devtmpfs", "erofs", "fuse", "iso9660", "overlay", "ramfs",
		"romfs", "rootfs", "squashfs", "tmpfs", "udf":
		return true
	}
	return strings.HasPrefix(fsType, "fuse.")
}

// anonymous reports whether stat(2) shows other device numbers for a type than mountinfo.
func anonymous(fsType string) bool {
	return fsType == "btrfs" || fsType == "bcachefs" || fsType == "zfs"
}

// A mount is a file system and where it can be asked.
type mount struct {
	Filesystem
	id  int    // of the mount: unique while it exists
	dev uint64 // st_dev of what lies there; 0 where that says nothing
}

// mounts knows which file systems count. mountinfo is read again only when the
// kernel says that it changed.
type mounts struct {
	cfg    *FilesystemConfig
	proc   string // the folder
	pid    string // whose mountinfo is read
	fd     int    // of mountinfo, for poll(2)
	open   bool
	poll   []unix.PollFd
	listed []mount
}

func newMounts(cfg *Config) mounts {
	m := mounts{cfg: &cfg.Filesystems, proc: filepath.Join(cfg.RootPath, "proc"), pid: "self"}
	if cfg.RootPath != "/" {
		m.pid = "1" // the machine's own view, where the reader's is a container's
	}
	return m
}

// list returns the file systems that count, each once, ordered by mount point,
// and whether they were listed anew. The slice is valid until the next call.
func (m *mounts) list() (listed []mount, anew bool, err error) {
	if m.open && !m.changed() {
		return m.listed, false, nil
	}
	if !m.open {
		path := filepath.Join(m.proc, m.pid, "mountinfo")
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, false, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		m.fd, m.open = fd, true
		m.poll = []unix.PollFd{{Fd: int32(fd), Events: unix.POLLERR | unix.POLLPRI}} //nolint:gosec // descriptors are small
	}
	all, err := m.parse()
	if err != nil {
		m.close() // so that the next sample tries again
		return nil, false, fmt.Errorf("mountinfo: %w", err)
	}
	m.listed = m.choose(all)
	return m.listed, true, nil
}

func (m *mounts) parse() ([]*procfs.MountInfo, error) {
	proc, err := procfs.NewFS(m.proc)
	if err != nil {
		return nil, err
	}
	if m.pid == "1" {
		return proc.GetProcMounts(1)
	}
	return proc.GetMounts()
}

// changed asks whether the mounts changed since it last said so: mountinfo is
// then readable with priority and in error, see proc_pid_mounts(5).
func (m *mounts) changed() bool {
	n, err := unix.Poll(m.poll, 0)
	return err != nil || n > 0 && m.poll[0].Revents&(unix.POLLERR|unix.POLLPRI) != 0
}

// choose keeps one mount of each device that counts: that with the shortest
// mount point, since a bind mount repeats what lies there already.
func (m *mounts) choose(all []*procfs.MountInfo) []mount {
	places := make(map[int]string, len(all))
	for _, i := range all {
		places[i.MountID] = i.MountPoint
	}
	hidden := map[int]bool{} // by a mount upon the very same place
	for _, i := range all {
		if i.MountID != i.ParentID && places[i.ParentID] == i.MountPoint {
			hidden[i.ParentID] = true
		}
	}
	byDevice := map[string]mount{}
	for _, i := range all {
		place := unescape(i.MountPoint)
		if hidden[i.MountID] || !m.counts(place, i) {
			continue
		}
		if was, seen := byDevice[i.MajorMinorVer]; seen && !shorter(place, was.MountPoint) {
			continue
		}
		byDevice[i.MajorMinorVer] = mount{
			Filesystem: Filesystem{Device: unescape(i.Source), MountPoint: place, Type: i.FSType},
			id:         i.MountID,
			dev:        deviceNumber(i),
		}
	}
	chosen := make([]mount, 0, len(byDevice))
	for _, f := range byDevice {
		chosen = append(chosen, f)
	}
	slices.SortFunc(chosen, func(a, b mount) int { return strings.Compare(a.MountPoint, b.MountPoint) })
	return chosen
}

func (m *mounts) counts(place string, i *procfs.MountInfo) bool {
	switch m.cfg.judge(place, i.FSType) {
	case included:
		return true
	case excluded:
		return false
	}
	if onNetwork(i.FSType) {
		return m.cfg.Network
	}
	if i.FSType == "zfs" { // its source is a dataset; the disks below it are the pool's
		return true
	}
	device, ok := strings.CutPrefix(i.Source, "/dev/")
	return ok && !virtual(i.FSType) &&
		// What lies in a file counts where the file lies, and memory is not storage.
		!numbered(device, "loop") && !numbered(device, "ram") && !numbered(device, "zram")
}

// deviceNumber is what stat(2) says of a file on the mount.
func deviceNumber(i *procfs.MountInfo) uint64 {
	major, minor, _ := strings.Cut(i.MajorMinorVer, ":")
	a, err1 := strconv.ParseUint(major, 10, 32)
	b, err2 := strconv.ParseUint(minor, 10, 32)
	if err1 != nil || err2 != nil || a == 0 || anonymous(i.FSType) {
		return 0
	}
	return unix.Mkdev(uint32(a), uint32(b))
}

func shorter(a, b string) bool {
	return len(a) < len(b) || len(a) == len(b) && a < b
}

// unescape undoes the octal escapes that mountinfo has for blanks, backslashes
// and number signs (seq_escape in fs/proc_namespace.c).
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		if s[0] == '\\' && len(s) >= 4 {
			if c, err := strconv.ParseUint(s[1:4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				s = s[4:]
				continue
			}
		}
		b.WriteByte(s[0])
		s = s[1:]
	}
	return b.String()
}

func (m *mounts) close() {
	if m.open {
		_ = unix.Close(m.fd) // opened for reading: nothing can be lost
		m.open = false
	}
}
