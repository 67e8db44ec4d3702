package host

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// examineDisk looks up a block device. Whole devices are in /sys/block,
// partitions are not. A device that lies on others (dm, md) counts again what
// they count; loop and zram are files and memory, as are ram disks; a zvol lies
// on the disks of its pool. Of a multipath NVMe the kernel hides the paths,
// which are in the file all the same.
func (c *Config) examineDisk(name string) device {
	// sysfs writes the slash of names like cciss/c0d0 as an exclamation mark.
	dir := filepath.Join(c.RootPath, "sys/block", strings.ReplaceAll(name, "/", "!"))
	d := device{name: name}
	v := c.Disks.judge(name)
	if v == excluded || !exists(dir) {
		return d
	}
	for _, prefix := range []string{"loop", "ram", "zram", "zd"} {
		if v == open && numbered(name, prefix) {
			return d
		}
	}
	if v == open && (!empty(filepath.Join(dir, "slaves")) || content(filepath.Join(dir, "hidden")) == "1") {
		return d
	}
	return d.born(diskIdentity(dir))
}

// diskIdentity names the very disk: by its sequence number, or before Linux
// 5.15 by its number and the inode of its folder in sysfs, which is made anew
// with the device.
func diskIdentity(dir string) string {
	if seq := content(filepath.Join(dir, "diskseq")); seq != "" {
		return "diskseq " + seq
	}
	dev := content(filepath.Join(dir, "dev"))
	var st unix.Stat_t
	if dev == "" || unix.Stat(dir, &st) != nil {
		return ""
	}
	return "dev " + dev + " " + strconv.FormatUint(st.Ino, 10)
}

// examineInterface looks up a network interface. It counts with a device
// behind it, and not as the lower half of one that has a device, too (as
// Azure's virtual functions are of their synthetic interface).
func (c *Config) examineInterface(name string) device {
	dir := filepath.Join(c.RootPath, "sys/class/net", name)
	d := device{name: name}
	switch c.Network.judge(name) {
	case excluded:
		return d
	case open:
		if !exists(filepath.Join(dir, "device")) || exists(filepath.Join(dir, "master/device")) {
			return d
		}
	}
	index := content(filepath.Join(dir, "ifindex"))
	if index != "" {
		index = "ifindex " + index
	}
	return d.born(index)
}

// born makes d count, unless nothing identifies it: it is gone by now.
func (d device) born(identity string) device {
	if identity != "" {
		d.counts, d.birth = true, hash(identity)
	}
	return d
}

// numbered reports whether name is prefix and a number.
func numbered(name, prefix string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	_, digits := number([]byte(rest))
	return ok && digits
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// empty reports whether a folder has no entries or is not there.
func empty(path string) bool {
	entries, _ := os.ReadDir(path)
	return len(entries) == 0
}

// content is the only line of a file, or "" where it cannot be read.
func content(path string) string {
	l, _ := readLine(path)
	return l
}

// hash is FNV-1a: births only have to differ.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}
