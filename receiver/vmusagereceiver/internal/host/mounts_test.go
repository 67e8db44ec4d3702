package host

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/host/hosttest"
)

func chosen(t testing.TB, mountinfo string) []mount {
	root := t.TempDir()
	hosttest.Put(t, root, "proc/1/mountinfo", mountinfo)
	cfg := config(root)
	m := newMounts(&cfg)
	defer m.close()
	listed, anew, err := m.list()
	require.NoError(t, err)
	assert.True(t, anew)
	return listed
}

func TestMountsChoose(t *testing.T) {
	for _, c := range []struct {
		name, mountinfo string
		want            []string
	}{
		{"bind mounts repeat", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:1 /etc /very/long rw - ext4 /dev/sda1 rw\n", []string{"/"}},
		{"the shortest place, then the first by name", "1 0 8:1 /x /b rw - ext4 /dev/sda1 rw\n2 0 8:1 / /a rw - ext4 /dev/sda1 rw\n", []string{"/a"}},
		{"subvolumes", "1 0 0:30 /@ / rw - btrfs /dev/sda1 rw\n2 1 0:30 /@home /home rw - btrfs /dev/sda1 rw\n", []string{"/"}},
		{"no device", "1 0 0:5 / /dev rw - devtmpfs /dev/x rw\n2 0 0:6 / /t rw - tmpfs /dev/shm rw\n3 0 0:7 / /f rw - fuse.x /dev/fuse rw\n4 0 0:8 / /o rw - overlay overlay rw\n", nil},
		{"over it lies another", "1 0 8:1 / /a rw - ext4 /dev/sda1 rw\n2 1 8:2 / /a rw - xfs /dev/sda2 rw\n", []string{"/a"}},
		{"hidden here, seen there", "1 0 8:1 / /a rw - ext4 /dev/sda1 rw\n2 1 8:2 / /a rw - xfs /dev/sda2 rw\n3 0 8:1 / /longer rw - ext4 /dev/sda1 rw\n", []string{"/a", "/longer"}},
		{"a file system of FUSE on a disk", "1 0 8:1 / /win rw - fuseblk /dev/sda1 rw\n", []string{"/win"}},
		{"memory and files", "1 0 252:0 / /z rw - ext4 /dev/zram0 rw\n2 0 7:3 / /l rw - ext4 /dev/loop3 rw\n3 0 1:0 / /r rw - ext2 /dev/ram0 rw\n", nil},
		{"a disc", "1 0 11:0 / /cd ro - iso9660 /dev/sr0 ro\n", nil},
		{"network", "1 0 0:40 / /n rw - nfs4 filer:/x rw\n", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var places []string
			for _, m := range chosen(t, c.mountinfo) {
				places = append(places, m.MountPoint)
			}
			assert.Equal(t, c.want, places)
		})
	}
}

func TestMountDeviceNumbers(t *testing.T) {
	listed := chosen(t, "1 0 259:300 / /a rw - ext4 /dev/nvme9n1 rw\n2 0 0:30 / /b rw - btrfs /dev/sda1 rw\n")
	assert.Equal(t, unix.Mkdev(259, 300), listed[0].dev)
	assert.Zero(t, listed[1].dev, "btrfs shows others")
}

func TestMountinfoFails(t *testing.T) {
	root := t.TempDir()
	cfg := config(root)
	m := newMounts(&cfg)
	defer m.close()
	require.NoError(t, os.Mkdir(filepath.Join(root, "proc"), 0o755))
	_, _, err := m.list()
	require.ErrorIs(t, err, os.ErrNotExist)
	hosttest.Put(t, root, "proc/1/mountinfo", "garbage\n")
	_, _, err = m.list()
	require.ErrorContains(t, err, "mountinfo: ")
	hosttest.Put(t, root, "proc/1/mountinfo", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n")
	listed, anew, err := m.list()
	require.NoError(t, err)
	assert.True(t, anew)
	assert.Len(t, listed, 1)
	_, anew, err = m.list()
	require.NoError(t, err)
	assert.False(t, anew, "nothing was mounted")
}

func FuzzMountinfo(f *testing.F) {
	f.Add([]byte("22 28 0:21 / /proc rw,nosuid shared:12 - proc proc rw\n28 1 253:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"))
	f.Add([]byte("1 1 8:1 / \\040 rw - ext4 /dev/sda1 rw\n2 1 x:y / / rw - zfs tank rw\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		root := t.TempDir()
		hosttest.Put(t, root, "proc/1/mountinfo", string(b))
		cfg := config(root)
		m := newMounts(&cfg)
		defer m.close()
		listed, _, err := m.list()
		if err != nil {
			return
		}
		for i := range listed {
			if i > 0 && listed[i-1].MountPoint > listed[i].MountPoint {
				t.Fatal("not in order")
			}
		}
	})
}
