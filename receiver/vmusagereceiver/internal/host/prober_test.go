package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A fakeSystem answers for the kernel. What is in stuck blocks until it is let go;
// what is not in dev does not exist for stat.
type fakeSystem struct {
	mu     sync.Mutex
	stuck  map[string]chan struct{}
	failed map[string]error
	asked  map[string]int
	dev    map[string]uint64
}

func newFakeSystem() *fakeSystem {
	return &fakeSystem{stuck: map[string]chan struct{}{}, failed: map[string]error{}, asked: map[string]int{}, dev: map[string]uint64{}}
}

func (f *fakeSystem) hang(paths ...string) (release func()) {
	let := make(chan struct{})
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range paths {
		f.stuck[p] = let
	}
	return func() {
		f.mu.Lock()
		for _, p := range paths {
			delete(f.stuck, p)
		}
		f.mu.Unlock()
		close(let)
	}
}

func (f *fakeSystem) calls() calls {
	return calls{
		statfs: func(path []byte, into *unix.Statfs_t) error {
			p := strings.TrimSuffix(string(path), "\x00")
			f.mu.Lock()
			f.asked[p]++
			let, err := f.stuck[p], f.failed[p]
			f.mu.Unlock()
			if let != nil {
				<-let
			}
			*into = unix.Statfs_t{Bsize: 1024, Blocks: uint64(len(p)), Bfree: 1, Bavail: 1}
			return err
		},
		stat: func(path string, into *unix.Stat_t) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.dev[path] == 0 {
				return unix.ENOENT
			}
			into.Dev = f.dev[path]
			return nil
		},
	}
}

func (f *fakeSystem) times(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[path]
}

func newTestProber(f *fakeSystem, paths ...string) *prober {
	p := newProber("/", 2*time.Second)
	p.calls, p.verify = f.calls(), false
	p.set(mountsAt(paths...))
	return p
}

func mountsAt(paths ...string) []mount {
	var ms []mount
	for i, path := range paths {
		ms = append(ms, mount{Filesystem: Filesystem{MountPoint: path, Type: "ext4"}, id: i, dev: uint64(i + 1)})
	}
	return ms
}

// probe returns the mount points that answered and how long that took.
func probe(ctx context.Context, p *prober) (answered []string, errs []error, took time.Duration) {
	began := time.Now()
	p.start()
	fs, errs := p.finish(ctx, nil)
	for i := range fs {
		answered = append(answered, fs[i].MountPoint)
	}
	return answered, errs, time.Since(began)
}

func TestProberStuckMount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSystem()
		p := newTestProber(f, "/", "/a", "/b", "/c")
		defer p.close()
		all, errs, took := probe(t.Context(), p)
		assert.Equal(t, []string{"/", "/a", "/b", "/c"}, all)
		assert.Empty(t, errs)
		assert.Zero(t, took)

		release := f.hang("/a")
		some, errs, took := probe(t.Context(), p)
		assert.Equal(t, []string{"/", "/b", "/c"}, some, "the others go on")
		require.Len(t, errs, 1)
		require.ErrorIs(t, errs[0], errStuck)
		require.ErrorContains(t, errs[0], "file system /a: ")
		assert.Equal(t, 2*time.Second, took)

		for range 3 { // known to be stuck: nobody waits for it, nobody asks again
			some, errs, took = probe(t.Context(), p)
			assert.Equal(t, []string{"/", "/b", "/c"}, some)
			require.Len(t, errs, 1)
			assert.Zero(t, took)
		}
		assert.Equal(t, 2, f.times("/a"))

		release()
		synctest.Wait()
		all, errs, _ = probe(t.Context(), p)
		assert.Equal(t, []string{"/", "/a", "/b", "/c"}, all)
		assert.Empty(t, errs)
		assert.Equal(t, 3, f.times("/a"))
		assert.Equal(t, 6, f.times("/c"), "once for each sample")
	})
}

func TestProberManyStuckMounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSystem()
		var paths, dead []string
		for i := range 20 {
			paths = append(paths, fmt.Sprintf("/%02d", i))
			if i%2 == 0 {
				dead = append(dead, paths[i])
			}
		}
		release := f.hang(dead...)
		p := newTestProber(f, paths...)
		defer p.close()
		some, errs, took := probe(t.Context(), p)
		assert.Len(t, some, 10)
		assert.Len(t, errs, 10)
		assert.Equal(t, 2*time.Second, took, "one timeout for all together")

		_, errs, took = probe(t.Context(), p)
		assert.Len(t, errs, 10)
		assert.Zero(t, took)
		release()
		synctest.Wait()
		some, errs, _ = probe(t.Context(), p)
		assert.Len(t, some, 20)
		assert.Empty(t, errs)
	})
}

// Slow is not stuck: it answers within the timeout.
func TestProberSlowMount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSystem()
		p := newTestProber(f, "/", "/slow", "/last")
		defer p.close()
		release := f.hang("/slow")
		time.AfterFunc(1500*time.Millisecond, release)
		all, errs, took := probe(t.Context(), p)
		assert.Len(t, all, 3)
		assert.Empty(t, errs)
		assert.Equal(t, 1500*time.Millisecond, took)
	})
}

func TestProberContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSystem()
		p := newTestProber(f, "/", "/a")
		defer p.close()
		release := f.hang("/a")
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		some, errs, took := probe(ctx, p)
		assert.Equal(t, []string{"/"}, some)
		assert.Len(t, errs, 1)
		assert.Equal(t, time.Millisecond, took)
		release()
		synctest.Wait()
		all, errs, _ := probe(t.Context(), p)
		assert.Len(t, all, 2)
		assert.Empty(t, errs)
	})
}

func TestProberErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSystem()
		f.failed["/a"] = unix.EACCES
		p := newTestProber(f, "/", "/a")
		defer p.close()
		some, errs, _ := probe(t.Context(), p)
		assert.Equal(t, []string{"/"}, some)
		require.ErrorIs(t, errors.Join(errs...), unix.EACCES)
		assert.ErrorContains(t, errs[0], "filesystems::mount_points::exclude")
	})
}

func TestProberLeavesOutHiddenMounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSystem()
		f.dev["/"], f.dev["/under"] = 1, 1 // /under is a device of its own, and another lies over it
		p := newTestProber(f, "/", "/under", "/deeper")
		defer p.close()
		p.verify = true
		for range 2 {
			some, errs, _ := probe(t.Context(), p)
			assert.Equal(t, []string{"/"}, some)
			assert.Empty(t, errs)
		}
		assert.Zero(t, f.times("/under"))
		assert.Zero(t, f.times("/deeper"))
		f.mu.Lock()
		f.dev["/under"], f.dev["/deeper"] = 2, 3
		f.mu.Unlock()
		all, _, _ := probe(t.Context(), p)
		assert.Len(t, all, 3)
	})
}

func TestProberSaysWhatAMountedRootLacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSystem()
		f.dev["/host"], f.dev["/host/data"] = 1, 1
		p := newProber("/host", time.Second)
		defer p.close()
		p.calls, p.verify = f.calls(), true
		p.set(mountsAt("/", "/data"))
		some, errs, _ := probe(t.Context(), p)
		assert.Equal(t, []string{"/"}, some)
		require.Len(t, errs, 1)
		assert.ErrorContains(t, errs[0], "rslave")
	})
}

// Mounts come and go while one hangs: it is not asked again, and what hangs on
// mounts that are gone is bounded.
func TestProberNewList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSystem()
		release := f.hang("/a")
		p := newTestProber(f, "/", "/a")
		defer p.close()
		probe(t.Context(), p)

		p.set(mountsAt("/", "/a", "/new"))
		some, errs, took := probe(t.Context(), p)
		assert.Equal(t, []string{"/", "/new"}, some)
		assert.Len(t, errs, 1)
		assert.Zero(t, took)
		assert.Equal(t, 1, f.times("/a"))

		for i := range maxLost {
			p.set([]mount{{Filesystem: Filesystem{MountPoint: "/a"}, id: 100 + i}})
			probe(t.Context(), p)
		}
		p.set(mountsAt("/"))
		some, errs, _ = probe(t.Context(), p)
		assert.Empty(t, some)
		require.Len(t, errs, 1)
		require.ErrorContains(t, errs[0], "unmounted still do not return")

		release()
		synctest.Wait()
		some, errs, _ = probe(t.Context(), p)
		assert.Equal(t, []string{"/"}, some)
		assert.Empty(t, errs)
	})
}

func TestFilesystemFill(t *testing.T) {
	for _, c := range []struct {
		name string
		in   unix.Statfs_t
		want Filesystem
		ok   bool
	}{
		{"by fragments", unix.Statfs_t{Bsize: 1 << 20, Frsize: 1024, Blocks: 10, Bfree: 5, Bavail: 4}, Filesystem{Total: 10240, Free: 5120, Available: 4096}, true},
		{"without a fragment size", unix.Statfs_t{Bsize: 512, Blocks: 10, Bfree: 5, Bavail: 4}, Filesystem{Total: 5120, Free: 2560, Available: 2048}, true},
		{"more free than there is", unix.Statfs_t{Bsize: 1, Blocks: 10, Bfree: 50, Bavail: 40}, Filesystem{Total: 10, Free: 10, Available: 10}, true},
		{"no block size", unix.Statfs_t{Blocks: 10}, Filesystem{}, false},
		{"a negative block size", unix.Statfs_t{Bsize: -4096, Blocks: 10}, Filesystem{}, false},
		{"beyond 63 bits", unix.Statfs_t{Bsize: 4096, Blocks: 1 << 60}, Filesystem{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got Filesystem
			err := got.fill(&c.in)
			assert.Equal(t, c.ok, err == nil)
			assert.Equal(t, c.want, got)
		})
	}
}

func TestStatfsIsTheKernels(t *testing.T) {
	var ours, theirs unix.Statfs_t
	require.NoError(t, statfs([]byte("/proc\x00"), &ours))
	require.NoError(t, unix.Statfs("/proc", &theirs))
	assert.Equal(t, theirs, ours)
	assert.ErrorIs(t, statfs([]byte("/proc/nothing\x00"), &ours), unix.ENOENT)
}
