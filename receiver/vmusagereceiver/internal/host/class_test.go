package host

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/host/hosttest"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

const (
	netHeader = "Inter-|   Receive\n face |bytes\n"
	oldEth0   = "  eth0: 1000 10 0 0 0 0 0 0 2000 20 0 0 0 0 0 0\n"
	newEth0   = "  eth0: 5 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n"
)

// announce says that devices changed, as the kernel does.
func announce(t *testing.T, s *Source, seqnum string) {
	hosttest.Put(t, s.cfg.RootPath, "sys/kernel/uevent_seqnum", seqnum)
}

func TestInterfaceReplacedBetweenSamples(t *testing.T) {
	s := openSource(t, config(hosttest.Unpack(t, "small_vm")))
	hosttest.Put(t, s.cfg.RootPath, "proc/1/net/dev", netHeader+oldEth0)
	before := sample(t, s).Interfaces[0]
	assert.Equal(t, uint64(1000), before.RxBytes)

	hosttest.Put(t, s.cfg.RootPath, "proc/1/net/dev", netHeader+newEth0)
	hosttest.Put(t, s.cfg.RootPath, "sys/class/net/eth0/ifindex", "9\n")
	announce(t, s, "820\n")
	after := sample(t, s).Interfaces[0]
	assert.Equal(t, uint64(5), after.RxBytes)
	assert.NotEqual(t, before.Birth, after.Birth)
	assert.Equal(t, after, sample(t, s).Interfaces[0])
}

func TestDiskReplacedBetweenSamples(t *testing.T) {
	s := openSource(t, config(hosttest.Unpack(t, "small_vm")))
	before := sample(t, s).Disks[0]
	hosttest.Put(t, s.cfg.RootPath, "sys/block/vda/diskseq", "77\n")
	announce(t, s, "820\n")
	after := sample(t, s).Disks[0]
	assert.Equal(t, before.DiskStats, after.DiskStats)
	assert.NotEqual(t, before.Birth, after.Birth)
}

// Without the kernel's counter of events, sysfs is asked at every sample.
func TestInterfaceReplacedUnannounced(t *testing.T) {
	s := openSource(t, config(hosttest.Unpack(t, "small_vm")))
	require.NoError(t, os.Remove(filepath.Join(s.cfg.RootPath, "sys/kernel/uevent_seqnum")))
	before := sample(t, s).Interfaces[0]
	hosttest.Put(t, s.cfg.RootPath, "sys/class/net/eth0/ifindex", "9\n")
	assert.NotEqual(t, before.Birth, sample(t, s).Interfaces[0].Birth)
}

func TestDevicesComeAndGo(t *testing.T) {
	s := openSource(t, config(hosttest.Unpack(t, "small_vm")))
	sample(t, s)
	eth1 := "  eth1: 1 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n"
	hosttest.Put(t, s.cfg.RootPath, "sys/class/net/eth1/ifindex", "3\n")
	hosttest.Put(t, s.cfg.RootPath, "sys/class/net/eth1/device/vendor", "")

	hosttest.Put(t, s.cfg.RootPath, "proc/1/net/dev", netHeader+eth1+oldEth0)
	sn := sample(t, s)
	assert.Equal(t, []string{"eth1", "eth0"}, interfaceNames(sn))
	assert.Equal(t, uint64(1000), sn.Interfaces[1].RxBytes)

	hosttest.Put(t, s.cfg.RootPath, "proc/1/net/dev", netHeader+eth1)
	assert.Equal(t, []string{"eth1"}, interfaceNames(sample(t, s)))

	hosttest.Put(t, s.cfg.RootPath, "proc/1/net/dev", netHeader)
	sn = sample(t, s)
	require.NoError(t, sn.Err())
	assert.True(t, sn.HasNetwork, "all of none")
	assert.Empty(t, sn.Interfaces)
}

// An interface that gets a master is not announced; it is noticed in time.
func TestMasterIsNoticed(t *testing.T) {
	s := openSource(t, config(hosttest.Unpack(t, "small_vm")))
	at := reading.Instant{Boot: 10e9}
	sn, err := s.Sample(t.Context(), at)
	require.NoError(t, err)
	require.Equal(t, []string{"eth0"}, interfaceNames(sn))
	hosttest.Put(t, s.cfg.RootPath, "sys/class/net/eth0/master/device", "")

	at.Boot += reexamine - 1
	sn, err = s.Sample(t.Context(), at)
	require.NoError(t, err)
	assert.Equal(t, []string{"eth0"}, interfaceNames(sn))
	at.Boot++
	sn, err = s.Sample(t.Context(), at)
	require.NoError(t, err)
	assert.Empty(t, interfaceNames(sn))
}

// A device is swapped in the middle of a sample: after its file was read, and
// before sysfs is asked. Old counters must not get the new birth.
func TestSwapWithinASample(t *testing.T) {
	s := openSource(t, config(hosttest.Unpack(t, "small_vm")))
	root := s.cfg.RootPath
	hosttest.Put(t, root, "proc/1/net/dev", netHeader+oldEth0)
	sample(t, s)
	examine := s.interfaces.examine
	swapped := false
	s.interfaces.examine = func(name string) device {
		if !swapped {
			swapped = true
			hosttest.Put(t, root, "proc/1/net/dev", netHeader+newEth0)
			hosttest.Put(t, root, "sys/class/net/eth0/ifindex", "9\n")
			announce(t, s, "821\n")
		}
		return examine(name)
	}
	announce(t, s, "820\n") // of something else, so that sysfs is asked
	sn := sample(t, s)
	require.NoError(t, sn.Err())
	assert.Equal(t, hash("ifindex 9"), sn.Interfaces[0].Birth)
	assert.Equal(t, uint64(5), sn.Interfaces[0].RxBytes)
}

func TestEndlessChangesFailTheSampleOnly(t *testing.T) {
	s := openSource(t, config(hosttest.Unpack(t, "small_vm")))
	sample(t, s)
	examine, births := s.interfaces.examine, uint64(0)
	s.interfaces.examine = func(name string) device {
		births++
		announce(t, s, strconv.FormatUint(1000+births, 10))
		return device{name: name, counts: true, birth: births}
	}
	announce(t, s, "820\n")
	sn := sample(t, s)
	assert.False(t, sn.HasNetwork)
	assert.False(t, sn.HasDisks)
	require.ErrorContains(t, sn.Err(), "devices changed at each of 5 looks")
	assert.True(t, sn.HasMemory)

	s.interfaces.examine = examine
	announce(t, s, "2000\n")
	sn = sample(t, s)
	require.NoError(t, sn.Err())
	assert.Equal(t, []string{"eth0"}, interfaceNames(sn))
}
