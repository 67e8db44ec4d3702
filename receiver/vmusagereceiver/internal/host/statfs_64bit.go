//go:build linux && (amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x)

package host

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// statfs is unix.Statfs for a path that has its NUL already: that one copies
// the path at each call.
func statfs(path []byte, into *unix.Statfs_t) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_STATFS, uintptr(unsafe.Pointer(unsafe.SliceData(path))), uintptr(unsafe.Pointer(into)), 0)
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return errno
		}
	}
}
