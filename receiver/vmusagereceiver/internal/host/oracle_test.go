package host

import (
	"path/filepath"
	"testing"

	"github.com/prometheus/procfs"
	"github.com/prometheus/procfs/blockdevice"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/host/hosttest"
)

// procfs reads the same files with parsers of its own: both must agree.
func TestAgreesWithProcfs(t *testing.T) {
	for _, name := range hosttest.Fixtures() {
		t.Run(name, func(t *testing.T) {
			root := hosttest.Unpack(t, name)
			cfg := config(root)
			cfg.Disks.Include, cfg.Network.Include = []string{"*", "*/*"}, []string{"*"}
			sn := sample(t, openSource(t, cfg))
			require.NoError(t, sn.Err())
			fs, err := procfs.NewFS(filepath.Join(root, "proc"))
			require.NoError(t, err)

			stat, err := fs.Stat()
			require.NoError(t, err)
			for _, c := range []struct {
				name  string
				ticks uint64
				want  float64
			}{
				{"user", sn.CPU.User, stat.CPUTotal.User},
				{"nice", sn.CPU.Nice, stat.CPUTotal.Nice},
				{"system", sn.CPU.System, stat.CPUTotal.System},
				{"idle", sn.CPU.Idle, stat.CPUTotal.Idle},
				{"iowait", sn.CPU.IOWait, stat.CPUTotal.Iowait},
				{"irq", sn.CPU.IRQ, stat.CPUTotal.IRQ},
				{"softirq", sn.CPU.SoftIRQ, stat.CPUTotal.SoftIRQ},
				{"steal", sn.CPU.Steal, stat.CPUTotal.Steal},
				{"guest", sn.CPU.Guest, stat.CPUTotal.Guest},
				{"guest_nice", sn.CPU.GuestNice, stat.CPUTotal.GuestNice},
			} {
				assert.InDelta(t, c.want, float64(c.ticks)/ticksPerSecond, 1e-6, c.name)
			}
			assert.Len(t, stat.CPU, sn.CPUs)

			load, err := fs.LoadAvg()
			require.NoError(t, err)
			assert.InDeltaSlice(t, []float64{load.Load1, load.Load5, load.Load15}, sn.Load[:], 1e-9)

			oracleMemory(t, fs, &sn.Memory)
			oracleDisks(t, root, sn)
			oracleNetwork(t, fs, name, sn)
		})
	}
}

func oracleMemory(t *testing.T, fs procfs.FS, m *Memory) {
	mi, err := fs.Meminfo()
	require.NoError(t, err)
	for _, c := range []struct {
		name string
		got  uint64
		want *uint64
	}{
		{"total", m.Total, mi.MemTotalBytes},
		{"free", m.Free, mi.MemFreeBytes},
		{"buffers", m.Buffers, mi.BuffersBytes},
		{"cached", m.Cached, mi.CachedBytes},
		{"shared", m.Shared, mi.ShmemBytes},
		{"reclaimable", m.Reclaimable, mi.SReclaimableBytes},
		{"swap total", m.SwapTotal, mi.SwapTotalBytes},
		{"swap free", m.SwapFree, mi.SwapFreeBytes},
	} {
		assert.Equal(t, *c.want, c.got, c.name)
	}
	if mi.MemAvailableBytes != nil {
		assert.Equal(t, *mi.MemAvailableBytes, m.Available)
	}
}

func oracleDisks(t *testing.T, root string, sn *Snapshot) {
	fs, err := blockdevice.NewFS(filepath.Join(root, "proc"), filepath.Join(root, "sys"))
	require.NoError(t, err)
	want, err := fs.ProcDiskstats()
	require.NoError(t, err)
	byName := map[string]blockdevice.Diskstats{}
	for _, d := range want {
		byName[d.DeviceName] = d
	}
	require.NotEmpty(t, sn.Disks)
	for i := range sn.Disks {
		d := &sn.Disks[i]
		w, ok := byName[d.Name]
		require.True(t, ok, d.Name)
		assert.Equal(t, DiskStats{
			w.ReadIOs, w.ReadMerges, w.ReadSectors, w.ReadTicks,
			w.WriteIOs, w.WriteMerges, w.WriteSectors, w.WriteTicks,
			w.IOsInProgress, w.IOsTotalTicks, w.WeightedIOTicks,
		}, d.DiskStats, d.Name)
	}
}

func oracleNetwork(t *testing.T, fs procfs.FS, fixture string, sn *Snapshot) {
	want, err := fs.NetDev()
	if fixture == "large_host" { // whose first process is in a network namespace of its own
		var p procfs.Proc
		p, err = fs.Proc(1)
		require.NoError(t, err)
		want, err = p.NetDev()
	}
	require.NoError(t, err)
	require.Len(t, sn.Interfaces, len(want))
	for i := range sn.Interfaces {
		n := &sn.Interfaces[i]
		w := want[n.Name]
		assert.Equal(t, InterfaceStats{
			w.RxBytes, w.RxPackets, w.RxErrors, w.RxDropped, w.TxBytes, w.TxPackets, w.TxErrors, w.TxDropped,
		}, n.InterfaceStats, n.Name)
	}
}
