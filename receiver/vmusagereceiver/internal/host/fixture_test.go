package host

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func config(root string) Config {
	c := DefaultConfig()
	c.RootPath = root
	return c
}

const gib = 1 << 30

// open opens a source whose file systems all have 100 GiB, 40 of them free and
// 30 of these for everybody.
func openSource(t testing.TB, cfg Config) *Source {
	t.Helper()
	require.NoError(t, cfg.Validate())
	s, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	s.prober.calls.statfs = func(_ []byte, into *unix.Statfs_t) error {
		*into = unix.Statfs_t{Frsize: 4096, Blocks: 100 * gib / 4096, Bfree: 40 * gib / 4096, Bavail: 30 * gib / 4096}
		return nil
	}
	return s
}

func sample(t testing.TB, s *Source) *Snapshot {
	t.Helper()
	sn, err := s.Sample(t.Context(), reading.Instant{Boot: 5_000e9, Wall: 1_795_000_000e9})
	require.NoError(t, err)
	return sn
}

func names[T any](list []T, name func(*T) string) []string {
	var ns []string
	for i := range list {
		ns = append(ns, name(&list[i]))
	}
	return ns
}

func diskNames(s *Snapshot) []string {
	return names(s.Disks, func(d *Disk) string { return d.Name })
}

func interfaceNames(s *Snapshot) []string {
	return names(s.Interfaces, func(i *Interface) string { return i.Name })
}

func mountPoints(s *Snapshot) []string {
	return names(s.Filesystems, func(f *Filesystem) string { return f.MountPoint })
}
