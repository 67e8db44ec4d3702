package host

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// BenchmarkSample is a sample of this machine and the reading made of it;
// BenchmarkFloor is what it cannot do without: the same files read to their end
// by bare system calls into a buffer that is used again, and the same file
// systems asked. Compare the two within one run.
func BenchmarkSample(b *testing.B) {
	s, err := New(DefaultConfig())
	require.NoError(b, err)
	defer s.Close()
	var r reading.Reading
	sample := func() {
		sn, err := s.Sample(b.Context(), reading.Instant{})
		if err != nil {
			b.Fatal(err)
		}
		sn.Reading(&r)
	}
	sample()
	require.NoError(b, s.snapshot.Err())
	b.ReportAllocs()
	for b.Loop() {
		sample()
	}
}

func BenchmarkFloor(b *testing.B) {
	s, err := New(DefaultConfig())
	require.NoError(b, err)
	defer s.Close()
	sn, err := s.Sample(b.Context(), reading.Instant{})
	require.NoError(b, err)
	var fds []int
	for _, path := range []string{"/proc/stat", "/proc/loadavg", "/proc/meminfo", "/proc/diskstats", "/proc/net/dev"} {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		require.NoError(b, err)
		defer unix.Close(fd)
		fds = append(fds, fd)
	}
	buf := make([]byte, 64<<10)
	var st unix.Statfs_t
	b.ReportAllocs()
	for b.Loop() {
		for _, fd := range fds {
			for off := int64(0); ; {
				n, err := unix.Pread(fd, buf, off)
				if err != nil {
					b.Fatal(err)
				}
				if n == 0 {
					break
				}
				off += int64(n)
			}
		}
		for i := range sn.Filesystems {
			if err := unix.Statfs(sn.Filesystems[i].MountPoint, &st); err != nil {
				b.Fatal(err)
			}
		}
	}
}
