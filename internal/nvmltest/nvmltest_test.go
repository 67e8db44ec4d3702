//go:build cgo

package nvmltest_test

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/nvmltest"
)

// load initializes the library of a driver.
func load(t *testing.T, d *nvmltest.Driver) nvml.Interface {
	t.Helper()
	lib := nvml.New(nvml.WithLibraryPath(d.Library()))
	require.Equal(t, nvml.SUCCESS, lib.Init())
	t.Cleanup(func() { _ = lib.Shutdown() })
	return lib
}

func device(t *testing.T, lib nvml.Interface, index int) nvml.Device {
	t.Helper()
	d, ret := lib.DeviceGetHandleByIndex(index)
	require.Equal(t, nvml.SUCCESS, ret)
	return d
}

func script(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "scripts", name))
	require.NoError(t, err)
	return string(b)
}

func TestWhatADeviceSays(t *testing.T) {
	s := nvmltest.Start(t, script(t, "one.script"))
	lib := load(t, s)
	s.Set(20 * time.Second)
	version, ret := lib.SystemGetDriverVersion()
	assert.Equal(t, nvml.SUCCESS, ret)
	assert.Equal(t, "550.54.15", version)
	n, _ := lib.DeviceGetCount()
	require.Equal(t, 1, n)
	d := device(t, lib, 0)

	uuid, _ := d.GetUUID()
	assert.Equal(t, "GPU-11111111-2222-3333-4444-555555555555", uuid)
	same, ret := lib.DeviceGetHandleByUUID(uuid)
	assert.Equal(t, nvml.SUCCESS, ret)
	assert.Equal(t, d, same)
	name, _ := d.GetName()
	assert.Equal(t, "NVIDIA H100 80GB HBM3", name)
	pci, _ := d.GetPciInfo()
	assert.EqualValues(t, 0x18, pci.Bus)
	m, ret := d.GetMemoryInfo_v2()
	assert.Equal(t, nvml.SUCCESS, ret)
	assert.Equal(t, [3]uint64{80 << 30, 512 << 20, 2 << 30}, [3]uint64{m.Total, m.Reserved, m.Used})
	old, _ := d.GetMemoryInfo()
	assert.EqualValues(t, 2<<30+512<<20, old.Used, "the first version counts what is reserved")
	power, _ := d.GetPowerUsage()
	assert.EqualValues(t, 350_000, power)
	energy, _ := d.GetTotalEnergyConsumption()
	assert.EqualValues(t, 5_000+10*100_000+10*350_000, energy)
	limit, _ := d.GetEnforcedPowerLimit()
	assert.EqualValues(t, 700_000, limit)
	celsius, _ := d.GetTemperature(nvml.TEMPERATURE_GPU)
	assert.EqualValues(t, 61, celsius)
	v, ret := d.GetTemperatureV().V1()
	assert.Equal(t, nvml.SUCCESS, ret)
	assert.EqualValues(t, 61, v.Temperature)
	mhz, _ := d.GetClockInfo(nvml.CLOCK_SM)
	assert.EqualValues(t, 1980, mhz)
	kbs, _ := d.GetPcieThroughput(nvml.PCIE_UTIL_RX_BYTES)
	assert.EqualValues(t, 4000, kbs)
	ecc, _ := d.GetTotalEccErrors(nvml.MEMORY_ERROR_TYPE_CORRECTED, nvml.VOLATILE_ECC)
	assert.EqualValues(t, 3, ecc)
	pages, ret := d.GetRetiredPages(nvml.PAGE_RETIREMENT_CAUSE_DOUBLE_BIT_ECC_ERROR)
	assert.Equal(t, nvml.SUCCESS, ret)
	assert.Len(t, pages, 5)
	pages, ret = d.GetRetiredPages(nvml.PAGE_RETIREMENT_CAUSE_MULTIPLE_SINGLE_BIT_ECC_ERRORS)
	assert.Equal(t, nvml.SUCCESS, ret)
	assert.Empty(t, pages)
	corrected, uncorrected, pending, failed, _ := d.GetRemappedRows()
	assert.Equal(t, []any{1, 2, true, false}, []any{corrected, uncorrected, pending, failed})
	ps, ret := d.GetComputeRunningProcesses()
	assert.Equal(t, nvml.SUCCESS, ret)
	require.Len(t, ps, 2)
	assert.EqualValues(t, 1<<30, ps[1].UsedGpuMemory)
	us, ret := d.GetProcessUtilization(0)
	assert.Equal(t, nvml.SUCCESS, ret)
	require.Len(t, us, 2)
	assert.EqualValues(t, 40, us[0].SmUtil)
	fields := []nvml.FieldValue{{FieldId: nvml.FI_DEV_NVLINK_THROUGHPUT_DATA_TX, ScopeId: 1}}
	assert.Equal(t, nvml.SUCCESS, d.GetFieldValues(fields))
	assert.EqualValues(t, nvml.SUCCESS, fields[0].NvmlReturn)
	assert.EqualValues(t, 20_000, uint64(fields[0].Value[0])|uint64(fields[0].Value[1])<<8)
	fields = []nvml.FieldValue{{FieldId: nvml.FI_DEV_PCIE_COUNT_TX_BYTES}, {FieldId: nvml.FI_DEV_PCIE_COUNT_RX_BYTES}}
	assert.Equal(t, nvml.SUCCESS, d.GetFieldValues(fields))
	sent, received := binary.NativeEndian.Uint64(fields[0].Value[:]), binary.NativeEndian.Uint64(fields[1].Value[:])
	assert.Positive(t, sent)
	assert.Equal(t, 4*sent, received)
	_, _, ret = d.GetMigMode()
	assert.Equal(t, nvml.ERROR_NOT_SUPPORTED, ret, "what a script does not mention")
	assert.Positive(t, s.Calls())
}

// samples returns the sum of the values of samples, in percent, and how many there are.
func samples(t *testing.T, d nvml.Device, seen uint64) (sum uint32, n int, last uint64) {
	t.Helper()
	_, ss, ret := d.GetSamples(nvml.GPU_UTILIZATION_SAMPLES, seen)
	require.Equal(t, nvml.SUCCESS, ret)
	for _, s := range ss {
		sum += uint32(s.SampleValue[0])
		last = s.TimeStamp
	}
	return sum, len(ss), last
}

func TestSamples(t *testing.T) {
	s := nvmltest.Start(t, "gpu\nperiod 200ms\nbusy 0s 10s 50\nbusy 10s 20s on=40ms every=400ms\n")
	lib := load(t, s)
	d := device(t, lib, 0)
	start := uint64(s.Now().UnixMicro())
	s.Set(10 * time.Second)
	sum, n, last := samples(t, d, 0)
	assert.Equal(t, 50, n)
	assert.EqualValues(t, 50*50, sum)
	assert.Equal(t, start+10_000_000, last)
	_, _, ret := d.GetSamples(nvml.GPU_UTILIZATION_SAMPLES, last)
	assert.Equal(t, nvml.ERROR_NOT_FOUND, ret, "nothing is newer")
	s.Set(20 * time.Second)
	sum, n, _ = samples(t, d, last)
	assert.Equal(t, 50, n)
	assert.EqualValues(t, 25*20, sum, "a burst fills a fifth of every second sample")
	s.Set(100 * time.Second)
	_, n, _ = samples(t, d, 0)
	assert.Equal(t, 100, n, "the buffer is finite")
	s.Set(15 * time.Second)
	u, _ := d.GetUtilizationRates()
	assert.Contains(t, []uint32{0, 20}, u.Gpu)
}

func TestJitterKeepsTheOrder(t *testing.T) {
	s := nvmltest.Start(t, "gpu\nperiod 100ms\njitter 40ms\nbusy 0s - 30\n")
	d := device(t, load(t, s), 0)
	s.Set(9 * time.Second)
	_, ss, ret := d.GetSamples(nvml.GPU_UTILIZATION_SAMPLES, 0)
	require.Equal(t, nvml.SUCCESS, ret)
	lengths := map[uint64]bool{}
	for i := 1; i < len(ss); i++ {
		lengths[ss[i].TimeStamp-ss[i-1].TimeStamp] = true
		assert.Greater(t, ss[i].TimeStamp, ss[i-1].TimeStamp)
		assert.EqualValues(t, 30, ss[i].SampleValue[0])
	}
	assert.Greater(t, len(lengths), 10)
}

func TestGarbage(t *testing.T) {
	s := nvmltest.Start(t, script(t, "garbage.script"))
	d := device(t, load(t, s), 0)
	s.Set(8 * time.Second)
	_, ss, ret := d.GetSamples(nvml.GPU_UTILIZATION_SAMPLES, 0)
	require.Equal(t, nvml.SUCCESS, ret)
	var huge, zero, twice, swapped, future int
	for i, x := range ss {
		if x.SampleValue[3] == 0xff {
			huge++
		}
		if x.TimeStamp == 0 {
			zero++
		}
		if x.TimeStamp > uint64(s.Now().UnixMicro()) {
			future++
		}
		if i > 0 && x.TimeStamp != 0 && x.TimeStamp == ss[i-1].TimeStamp {
			twice++
		}
		if i > 0 && x.TimeStamp != 0 && x.TimeStamp < ss[i-1].TimeStamp {
			swapped++
		}
	}
	for name, n := range map[string]int{"huge": huge, "zero": zero, "twice": twice, "swapped": swapped, "future": future} {
		assert.Positive(t, n, name)
	}
}

func TestMIGAndVGPU(t *testing.T) {
	s := nvmltest.Start(t, script(t, "mig.script"))
	lib := load(t, s)
	s.Set(10 * time.Second)
	d := device(t, lib, 0)
	mode, _, ret := d.GetMigMode()
	assert.Equal(t, nvml.SUCCESS, ret)
	assert.Equal(t, nvml.DEVICE_MIG_ENABLE, mode)
	_, _, ret = d.GetSamples(nvml.GPU_UTILIZATION_SAMPLES, 0)
	assert.Equal(t, nvml.ERROR_NOT_SUPPORTED, ret)
	most, _ := d.GetMaxMigDeviceCount()
	found := 0
	for i := range most {
		m, ret := d.GetMigDeviceHandleByIndex(i)
		if ret == nvml.ERROR_NOT_FOUND {
			continue
		}
		require.Equal(t, nvml.SUCCESS, ret)
		found++
		is, _ := m.IsMigDeviceHandle()
		assert.True(t, is)
		parent, _ := m.GetDeviceHandleFromMigDeviceHandle()
		assert.Equal(t, d, parent)
		mem, _ := m.GetMemoryInfo()
		assert.EqualValues(t, 10<<30, mem.Total)
		a, _ := m.GetAttributes()
		assert.EqualValues(t, 10<<10, a.MemorySizeMB)
	}
	assert.Equal(t, 2, found)
	s.Set(61 * time.Second)
	_, ret = d.GetMigDeviceHandleByIndex(1)
	assert.Equal(t, nvml.ERROR_NOT_FOUND, ret, "it was destroyed")

	host := device(t, lib, 1)
	vs, ret := host.GetActiveVgpus()
	require.Equal(t, nvml.SUCCESS, ret)
	require.Len(t, vs, 2)
	vm, kind, _ := vs[1].GetVmID()
	assert.Equal(t, "6f3d7c1e-0000-4000-8000-00000000000b", vm)
	assert.Equal(t, nvml.VGPU_VM_ID_UUID, kind)
	used, _ := vs[0].GetFbUsage()
	assert.EqualValues(t, 4<<30, used)
	_, us, ret := host.GetVgpuUtilization(uint64(s.Now().Add(-time.Second).UnixMicro()))
	require.Equal(t, nvml.SUCCESS, ret)
	assert.Len(t, us, 12)
}

func TestFaults(t *testing.T) {
	s := nvmltest.Start(t, `
fail DeviceGetCount NO_PERMISSION calls=2
gpu
power 0s 100W
fail DeviceGetPowerUsage GPU_IS_LOST from=10s to=20s
unsupported DeviceGetTotalEnergyConsumption
gpu
power 0s 100W
`)
	lib := load(t, s)
	for i, want := range []nvml.Return{nvml.SUCCESS, nvml.ERROR_NO_PERMISSION, nvml.SUCCESS} {
		_, ret := lib.DeviceGetCount()
		assert.Equal(t, want, ret, i)
	}
	d, other := device(t, lib, 0), device(t, lib, 1)
	for at, want := range map[time.Duration]nvml.Return{9: nvml.SUCCESS, 10: nvml.ERROR_GPU_IS_LOST, 20: nvml.SUCCESS} {
		s.Set(at * time.Second)
		_, ret := d.GetPowerUsage()
		assert.Equal(t, want, ret, at)
		_, ret = other.GetPowerUsage()
		assert.Equal(t, nvml.SUCCESS, ret)
	}
	_, ret := d.GetTotalEnergyConsumption()
	assert.Equal(t, nvml.ERROR_NOT_SUPPORTED, ret)
	assert.Equal(t, "GPU_IS_LOST", lib.ErrorString(nvml.ERROR_GPU_IS_LOST))
}

func TestHangs(t *testing.T) {
	s := nvmltest.Start(t, "gpu\npower 0s 1W\nhang DeviceGetPowerUsage from=10s to=70s\nhang DeviceGetName file=stuck\n")
	d := device(t, load(t, s), 0)
	s.Set(10 * time.Second)
	stuck := filepath.Join(filepath.Dir(s.Script()), "stuck")
	require.NoError(t, os.WriteFile(stuck, nil, 0o600))
	done := make(chan nvml.Return, 2)
	go func() { _, ret := d.GetPowerUsage(); done <- ret }()
	go func() { _, ret := d.GetName(); done <- ret }()
	require.Eventually(t, func() bool { return s.Hanging() == 2 }, time.Minute, time.Millisecond)
	assert.Empty(t, done)
	uuid, ret := d.GetUUID()
	assert.Equal(t, nvml.SUCCESS, ret, "only those calls hang")
	assert.NotEmpty(t, uuid)
	s.Set(70 * time.Second)
	assert.Equal(t, nvml.SUCCESS, <-done)
	require.NoError(t, os.Remove(stuck))
	assert.Equal(t, nvml.SUCCESS, <-done)
	assert.Zero(t, s.Hanging())
}

func TestDriverReload(t *testing.T) {
	s := nvmltest.Start(t, "unload 10s 20s\ngpu\nperiod 200ms\npower 0s 1W\nenergy 7J\n")
	lib := nvml.New(nvml.WithLibraryPath(s.Library()))
	require.Equal(t, nvml.SUCCESS, lib.Init())
	d := device(t, lib, 0)
	s.Set(5 * time.Second)
	energy, _ := d.GetTotalEnergyConsumption()
	assert.EqualValues(t, 12_000, energy)
	s.Set(12 * time.Second)
	_, ret := d.GetTotalEnergyConsumption()
	assert.Equal(t, nvml.ERROR_UNINITIALIZED, ret)
	require.Equal(t, nvml.SUCCESS, lib.Shutdown())
	assert.Equal(t, nvml.ERROR_DRIVER_NOT_LOADED, lib.Init())
	s.Set(23 * time.Second)
	lib = load(t, s)
	energy, ret = device(t, lib, 0).GetTotalEnergyConsumption()
	assert.Equal(t, nvml.SUCCESS, ret)
	assert.EqualValues(t, 3_000, energy, "it counts from the load of the driver")
	_, n, _ := samples(t, device(t, lib, 0), 0)
	assert.Equal(t, 15, n, "and so do samples")
}

func TestHotplug(t *testing.T) {
	s := nvmltest.Start(t, "gpu\npresent 0s 30s\ngpu\npresent 10s -\n")
	lib := load(t, s)
	n, _ := lib.DeviceGetCount()
	assert.Equal(t, 1, n)
	d := device(t, lib, 0)
	s.Set(15 * time.Second)
	n, _ = lib.DeviceGetCount()
	assert.Equal(t, 1, n, "it shows at the next init")
	require.Equal(t, nvml.SUCCESS, lib.Shutdown())
	lib = load(t, s)
	n, _ = lib.DeviceGetCount()
	assert.Equal(t, 2, n)
	s.Set(40 * time.Second)
	_, ret := d.GetUUID()
	assert.Equal(t, nvml.ERROR_GPU_IS_LOST, ret)
	_, ret = lib.DeviceGetHandleByIndex(0)
	assert.Equal(t, nvml.ERROR_GPU_IS_LOST, ret)
}

func TestXids(t *testing.T) {
	s := nvmltest.Start(t, "gpu\nxid 5s 13\nxid 20s 79\n")
	lib := load(t, s)
	s.Set(10 * time.Second)
	set, ret := lib.EventSetCreate()
	require.Equal(t, nvml.SUCCESS, ret)
	require.Equal(t, nvml.SUCCESS, device(t, lib, 0).RegisterEvents(nvml.EventTypeXidCriticalError, set))
	_, ret = set.Wait(1)
	assert.Equal(t, nvml.ERROR_TIMEOUT, ret)
	s.Set(21 * time.Second)
	e, ret := set.Wait(1000)
	assert.Equal(t, nvml.SUCCESS, ret)
	assert.EqualValues(t, 79, e.EventData, "what was before the registration is gone")
	assert.Equal(t, nvml.SUCCESS, set.Free())
}

func TestAScriptThatIsWrong(t *testing.T) {
	for _, script := range []string{"nonsense", "busy 0s 1s 50", "gpu\nbusy 0s 1s 101", "gpu\nused 2s 1\nused 1s 1", "fail X NO_SUCH_RESULT", "gpu\njitter 1s"} {
		s := nvmltest.Start(t, script)
		assert.Equal(t, nvml.ERROR_UNKNOWN, nvml.New(nvml.WithLibraryPath(s.Library())).Init(), script)
	}
}

// TestAnOlderDriver is in a process of its own, which loads another library.
func TestAnOlderDriver(t *testing.T) {
	const child = "VMUSAGE_OLDER_DRIVER"
	if path := os.Getenv(child); path != "" {
		lib := nvml.New(nvml.WithLibraryPath(path))
		require.Equal(t, nvml.SUCCESS, lib.Init())
		require.Error(t, lib.Extensions().LookupSymbol("nvmlDeviceGetMemoryInfo_v2"))
		require.NoError(t, lib.Extensions().LookupSymbol("nvmlDeviceGetMemoryInfo"))
		return
	}
	s := nvmltest.Prepare(t, t.TempDir(), "gpu\n")
	path, err := nvmltest.Build(t.TempDir(), "nvmlDeviceGetMemoryInfo_v2")
	require.NoError(t, err)
	c := exec.Command(os.Args[0], "-test.run", "^TestAnOlderDriver$")
	c.Env = append(os.Environ(), child+"="+path, nvmltest.ScriptVariable+"="+s.Script())
	out, err := c.CombinedOutput()
	require.NoError(t, err, string(out))
}

func TestTheScriptBesideTheLibrary(t *testing.T) {
	const child = "VMUSAGE_BESIDE"
	if path := os.Getenv(child); path != "" {
		lib := nvml.New(nvml.WithLibraryPath(path))
		require.Equal(t, nvml.SUCCESS, lib.Init())
		n, _ := lib.DeviceGetCount()
		require.Equal(t, 3, n)
		return
	}
	s := nvmltest.Prepare(t, t.TempDir(), "gpu\ngpu\ngpu\n")
	c := exec.Command(os.Args[0], "-test.run", "^TestTheScriptBesideTheLibrary$")
	c.Env = append(os.Environ(), child+"="+s.Library(), nvmltest.ScriptVariable+"=")
	out, err := c.CombinedOutput()
	require.NoError(t, err, string(out))
}
