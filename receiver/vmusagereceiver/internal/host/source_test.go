package host

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/host/hosttest"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

func TestReadingOfSmallVM(t *testing.T) {
	s := openSource(t, config(hosttest.Unpack(t, "small_vm")))
	sn := sample(t, s)
	require.NoError(t, sn.Err())
	r := reading.Reading{Counters: make([]reading.Counters, 9), RunAt: 3}
	sn.Reading(&r)

	boot := "672672b0-f7cf-41a4-9906-8798cc7d0a40"
	want := reading.Reading{
		Flavor: usage.Flavor{VCPUs: 2, MemoryBytes: 24684084 << 10, StorageBytes: 100 * gib},
		At:     reading.Instant{Boot: 5_000e9, Wall: 1_795_000_000e9, BootID: boot},
		Source: "host",
		Run:    boot,
		Counters: []reading.Counters{
			{
				First: usage.CPUTime, N: 2, ID: "cpu", Birth: hash(boot),
				Values: [4]uint64{(69831 + 12174 + 20754 + 10 + 274) * 10_000, 127 * 10_000},
			},
			{
				First: usage.DiskReadBytes, N: 4, ID: "vda", Birth: hash(boot) ^ hash("diskseq 3"),
				Values: [4]uint64{11330098 * 512, 8692360 * 512, 290414, 49547},
			},
			{
				First: usage.NetworkTransmitBytes, N: 4, ID: "eth0", Birth: hash(boot) ^ hash("ifindex 2"), Resets: true,
				Values: [4]uint64{1993612, 261308056, 18502, 20915},
			},
		},
		Levels: [reading.NumLevels]reading.Level{
			reading.MemoryUsed:   {Bytes: (24684084 - 22345678) << 10, Valid: true},
			reading.MemoryLimit:  {Bytes: 24684084 << 10, Valid: true},
			reading.StorageUsed:  {Bytes: 60 * gib, Valid: true},
			reading.StorageLimit: {Bytes: 100 * gib, Valid: true},
		},
		Metered: r.Metered,
		Scanned: r.Scanned,
	}
	assert.Equal(t, want, r)
	for m := range usage.GPUActive {
		assert.True(t, r.Metered.Has(m), m.String())
	}
	for _, m := range []usage.Meter{usage.CPUTime, usage.CPUSteal, usage.Memory, usage.Storage, usage.DiskReadBytes, usage.NetworkReceivePackets} {
		assert.True(t, r.Scanned.Has(m), m.String())
	}
	assert.False(t, r.Metered.HasClass(usage.GPU))

	assert.Equal(t, int64(2), sn.Processes)
	assert.InDelta(t, 5000.0, sn.Uptime(), 1e-9)
	assert.Equal(t, int64(1_794_995_000e9), sn.BootTime())
	assert.Equal(t, uint64(85), sn.Threads)
	assert.Equal(t, uint64(1), sn.Runnable)
	assert.Equal(t, uint64(524288<<10), sn.Memory.SwapUsed())
	assert.Equal(t, []Filesystem{{"/dev/vda", "/", "ext4", 100 * gib, 40 * gib, 30 * gib}}, sn.Filesystems)
	assert.Equal(t, uint64(60*gib), sn.Filesystems[0].Used())
}

func TestWhatCountsOnALargeHost(t *testing.T) {
	root := hosttest.Unpack(t, "large_host")
	sn := sample(t, openSource(t, config(root)))
	require.NoError(t, sn.Err())
	assert.Equal(t, 64, sn.CPUs)
	assert.Equal(t, int64(3), sn.Processes)
	assert.Equal(t, []string{
		"nvme0n1", "nvme1n1", "nvme2n1", "nvme3n1", "nvme4n1",
		"sda", "sdb", "sdc", "sdd", "sde", "sdf", "sdg", "sdh", "sdi", "sdj", "sdk", "sdl", "sdm", "sdn", "sdo", "sdp", "sdq", "sdr", "sds", "sdt",
		"cciss/c0d0", "sr0",
	}, diskNames(sn))
	assert.Equal(t, []string{"eth0", "eth1", "eth2"}, interfaceNames(sn))
	assert.Equal(t, []string{
		"/", "/boot/efi", "/home", "/mnt/over", `/mnt/with blank\and#more`, "/srv/data", "/tank", "/tank/vms",
	}, mountPoints(sn))
	assert.Equal(t, "/dev/sdf1", sn.Filesystems[3].Device, "what is mounted over sde1 hides it")
	used, total := sn.Storage()
	assert.Equal(t, uint64(8*60*gib), used)
	assert.Equal(t, uint64((6*100+2*60+40)*gib), total, "what a pool has free counts once")
}

func TestFiltersOnALargeHost(t *testing.T) {
	root := hosttest.Unpack(t, "large_host")
	for _, c := range []struct {
		name                       string
		change                     func(*Config)
		disks, interfaces, systems []string
	}{
		{
			name: "include wins over the default", change: func(c *Config) {
				c.Disks.Include = []string{"dm-*", "loop0", "nvme0n1p1"}
				c.Network.Include = []string{"veth*1", "lo"}
				c.Filesystems.MountPoints.Include = []string{"/run", "/mnt/image"}
			},
			disks: []string{"loop0", "dm-0", "dm-1", "dm-2"}, interfaces: []string{"lo", "veth000001"}, systems: []string{"/mnt/image", "/run"},
		},
		{
			name: "exclude wins over include", change: func(c *Config) {
				c.Disks.Include, c.Disks.Exclude = []string{"sd*"}, []string{"sd[c-z]"}
				c.Network.Include, c.Network.Exclude = []string{"*"}, []string{"veth*", "*0", "*.*"}
				c.Filesystems.Types.Include = []string{"xfs", "ext4"}
				c.Filesystems.MountPoints.Exclude = []string{"/mnt/*"}
			},
			disks: []string{"sda", "sdb"}, interfaces: []string{"lo", "eth1", "eth2", "enP1s4"}, systems: []string{"/", "/srv/data"},
		},
		{
			name: "exclude takes from the default", change: func(c *Config) {
				c.Disks.Exclude = []string{"sd*", "*/*", "sr*"}
				c.Network.Exclude = []string{"eth2"}
				c.Filesystems.Types.Exclude = []string{"zfs", "btrfs", "vfat"}
				c.Filesystems.MountPoints.Exclude = []string{"/mnt/w*", "/srv/data"}
				c.Filesystems.Network = true
			},
			disks:      []string{"nvme0n1", "nvme1n1", "nvme2n1", "nvme3n1", "nvme4n1"},
			interfaces: []string{"eth0", "eth1"},
			systems:    []string{"/", "/mnt/nfs", "/mnt/over", "/var/lib/kubelet"},
		},
		{
			name: "both includes have to match", change: func(c *Config) {
				c.Filesystems.MountPoints.Include, c.Filesystems.Types.Include = []string{"/mnt/*"}, []string{"nfs*", "xfs"}
				c.Disks.Include, c.Network.Include = []string{"none"}, []string{"none"}
			},
			systems: []string{"/mnt/nfs"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := config(root)
			c.change(&cfg)
			sn := sample(t, openSource(t, cfg))
			require.NoError(t, sn.Err())
			assert.Equal(t, c.disks, diskNames(sn))
			assert.Equal(t, c.interfaces, interfaceNames(sn))
			assert.Equal(t, c.systems, mountPoints(sn))
		})
	}
}

func TestOldKernel(t *testing.T) {
	s := openSource(t, config(hosttest.Unpack(t, "old_kernel")))
	sn := sample(t, s)
	require.NoError(t, sn.Err())
	assert.Equal(t, uint64(0), sn.CPU.StealMicros())
	assert.Equal(t, uint64((2056040-(500000+100000+700000-50000+80000))<<10), sn.Memory.Used())
	assert.Equal(t, []string{"sda"}, diskNames(sn))
	assert.Equal(t, []string{"eth0"}, interfaceNames(sn))
	assert.Equal(t, uint64(1234567890), sn.Interfaces[0].RxBytes)
	assert.Equal(t, []string{"/"}, mountPoints(sn))
	assert.Equal(t, "ext3", sn.Filesystems[0].Type)

	birth := sn.Disks[0].Birth
	assert.Equal(t, birth, sample(t, s).Disks[0].Birth)
	dir := filepath.Join(s.cfg.RootPath, "sys/block/sda")
	require.NoError(t, os.Rename(dir, dir+".gone"))
	require.NoError(t, os.Mkdir(dir, 0o755))
	hosttest.Put(t, dir, "dev", "8:0\n")
	assert.NotEqual(t, birth, sample(t, s).Disks[0].Birth, "another disk under the same name and number")
}

// What cannot be read is absent and said; the rest is there; and it comes back.
func TestPartsFailAlone(t *testing.T) {
	for _, c := range []struct {
		file string
		has  func(*Snapshot) bool
	}{
		{"proc/loadavg", func(s *Snapshot) bool { return s.HasLoad }},
		{"proc/meminfo", func(s *Snapshot) bool { return s.HasMemory && s.flavor.MemoryBytes > 0 }},
		{"proc/diskstats", func(s *Snapshot) bool { return s.HasDisks && len(s.Disks) > 0 }},
		{"proc/1/net/dev", func(s *Snapshot) bool { return s.HasNetwork && len(s.Interfaces) > 0 }},
	} {
		for _, garbage := range []string{"\x00\xff\n:\n-1 x\n", "a b c d\n: 1 2\n  eth0: 1\n"} {
			t.Run(c.file, func(t *testing.T) {
				s := openSource(t, config(hosttest.Unpack(t, "small_vm")))
				path := filepath.Join(s.cfg.RootPath, c.file)
				good, err := os.ReadFile(path)
				require.NoError(t, err)
				require.True(t, c.has(sample(t, s)))

				require.NoError(t, os.WriteFile(path, []byte(garbage), 0o600))
				sn := sample(t, s)
				assert.False(t, c.has(sn))
				require.ErrorIs(t, sn.Err(), errFormat)
				assert.Len(t, sn.Errors, 1)
				present := 0
				for _, has := range []bool{sn.HasLoad, sn.HasMemory, sn.HasDisks, sn.HasNetwork, sn.HasFilesystems, sn.HasProcs} {
					if has {
						present++
					}
				}
				assert.Equal(t, 5, present)
				assert.Equal(t, int64(24684084<<10), sn.flavor.MemoryBytes, "what was not seen is not gone")
				var r reading.Reading
				sn.Reading(&r)
				assert.Equal(t, sn.HasDisks, r.Scanned.HasClass(usage.Disk))
				assert.Equal(t, sn.HasNetwork, r.Scanned.HasClass(usage.Interface))
				assert.Equal(t, sn.HasMemory, r.Levels[reading.MemoryUsed].Valid)
				assert.True(t, r.Metered.HasClass(usage.Disk))

				require.NoError(t, os.WriteFile(path, good, 0o600))
				sn = sample(t, s)
				require.NoError(t, sn.Err())
				assert.True(t, c.has(sn))
			})
		}
	}
}

func TestSampleWithoutCPU(t *testing.T) {
	s := openSource(t, config(hosttest.Unpack(t, "small_vm")))
	sample(t, s)
	require.NoError(t, os.WriteFile(filepath.Join(s.cfg.RootPath, "proc/stat"), []byte("intr 5\n"), 0o600))
	_, err := s.Sample(t.Context(), reading.Instant{})
	require.ErrorIs(t, err, errFormat)
}

func TestWithoutSysfs(t *testing.T) {
	root := hosttest.Unpack(t, "small_vm")
	require.NoError(t, os.RemoveAll(filepath.Join(root, "sys")))
	s := openSource(t, config(root))
	for range 2 {
		sn := sample(t, s)
		assert.False(t, sn.HasDisks)
		assert.False(t, sn.HasNetwork)
		assert.True(t, sn.HasMemory)
		require.Len(t, sn.Errors, 2)
		assert.ErrorContains(t, sn.Err(), "mount the machine's sys below root_path")
	}
}

func TestNewFails(t *testing.T) {
	root := hosttest.Unpack(t, "small_vm")
	_, err := New(config(filepath.Join(root, "nothing")))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "host::root_path is")
	require.ErrorContains(t, err, "give the folder")

	hosttest.Put(t, root, "proc/stat", "nonsense\n")
	_, err = New(config(root))
	require.ErrorIs(t, err, errFormat)

	root = hosttest.Unpack(t, "small_vm")
	require.NoError(t, os.Remove(filepath.Join(root, "proc/sys/kernel/random/boot_id")))
	_, err = New(config(root))
	require.ErrorContains(t, err, "boot id")
}

func TestThisMachine(t *testing.T) {
	s, err := New(DefaultConfig())
	require.NoError(t, err)
	defer s.Close()
	first := *sample(t, s)
	second := sample(t, s)
	assert.Positive(t, second.CPUs)
	assert.GreaterOrEqual(t, second.CPU.BusyMicros(), first.CPU.BusyMicros())
	assert.True(t, second.HasMemory)
	assert.Positive(t, second.Memory.Used())
	assert.True(t, second.HasProcs)
	assert.Positive(t, second.Processes)
	assert.Positive(t, second.Threads)
}

func TestSampleDoesNotAllocate(t *testing.T) {
	s := openSource(t, config(hosttest.Unpack(t, "large_host")))
	sample(t, s)
	s.processes.walk = false // what is no procfs is walked
	var r reading.Reading
	n := testing.AllocsPerRun(20, func() {
		sn, err := s.Sample(t.Context(), reading.Instant{Boot: 5_000e9})
		if err != nil || sn.Err() != nil {
			t.Fatal(err, sn.Err())
		}
		sn.Reading(&r)
	})
	assert.Zero(t, n)
}
