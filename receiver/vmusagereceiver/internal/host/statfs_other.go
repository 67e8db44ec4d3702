//go:build linux && !(amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x)

package host

import "golang.org/x/sys/unix"

func statfs(path []byte, into *unix.Statfs_t) error {
	return unix.Statfs(string(path[:len(path)-1]), into)
}
