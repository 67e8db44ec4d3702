//go:build cgo

package bench

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/vmusage/otelcol-vmusage/internal/nvmltest"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver"
)

// eightGPUs is a machine with eight GPUs, two of which are divided into seven.
func eightGPUs() string {
	var s strings.Builder
	for i := range 8 {
		fmt.Fprintf(&s, `gpu
uuid GPU-%04d
name NVIDIA H100 80GB HBM3
memory 80GiB
used 0s 40GiB
busy 0s - 60
power 0s 500W
temperature 0s 60
ecc aggregate corrected 0s 1
ecc aggregate uncorrected 0s 0
remapped 0s 0 0 0 0
`, i)
		if i >= 2 {
			continue
		}
		s.WriteString("mig 0s 1\n")
		for k := range 7 {
			fmt.Fprintf(&s, "mig-device %d\nuuid MIG-%04d-%d\nname MIG 1g.10gb\nmemory 10GiB\nused 0s 5GiB\n", k, i, k)
		}
	}
	return s.String()
}

// BenchmarkScrapeGPUs is a scrape of this machine with eight GPUs on the stub of
// NVML, of which two have seven MIG instances each, beside the same machine
// without GPUs and the floor: the same calls of NVML in a loop, through the same
// binding. pdata is a copy of what a scrape returns. The stub answers at once;
// slow is with calls that take 100 us or more, as those of a driver may.
func BenchmarkScrapeGPUs(b *testing.B) {
	d := nvmltest.StartReal(b, eightGPUs())
	f := vmusagereceiver.NewFactory()
	gpus := newScrape(b, f, map[string]any{"host": map[string]any{}, "gpu": map[string]any{
		"nvml_path": d.Library(), "timeout": "9s", "poll_interval": "10s", "rescan_interval": "1h",
	}})
	host := newScrape(b, f, map[string]any{"host": map[string]any{}})
	floor := newFloorGPUs(b, d)
	for _, c := range []struct {
		name string
		slow time.Duration
	}{{"at once", 0}, {"slow", 100 * time.Microsecond}} {
		d.Slow(c.slow)
		b.Run(c.name+"/vm_usage", func(b *testing.B) { measureGPUs(b, d, gpus) })
		b.Run(c.name+"/host alone", func(b *testing.B) { measureGPUs(b, d, host) })
		b.Run(c.name+"/floor", func(b *testing.B) { measureGPUs(b, d, floor) })
	}
	d.Slow(0)
	md := gpus(b.Context())
	b.Run("pdata", func(b *testing.B) {
		b.ReportAllocs()
		cpu := cpuTime(b)
		for b.Loop() {
			md.CopyTo(pmetric.NewMetrics())
		}
		cpu()
	})
}

type scrape = func(context.Context) pmetric.Metrics

func newScrape(b *testing.B, f receiver.Factory, conf map[string]any) scrape {
	cfg := f.CreateDefaultConfig()
	if err := confmap.NewFromStringMap(conf).Unmarshal(&cfg); err != nil {
		b.Fatal(err)
	}
	if err := cfg.(interface{ Validate() error }).Validate(); err != nil {
		b.Fatal(err)
	}
	s, err := vmusagereceiver.NewScrape(receivertest.NewNopSettings(f.Type()), cfg)
	if err != nil {
		b.Fatal(err)
	}
	for range 3 { // the first finds the GPUs, the second what they do not offer
		s(b.Context())
	}
	return s
}

func measureGPUs(b *testing.B, d *nvmltest.Driver, s scrape) {
	md := pmetric.NewMetrics()
	calls := d.Calls()
	b.ReportAllocs()
	cpu := cpuTime(b)
	for b.Loop() {
		md = s(b.Context())
	}
	cpu()
	b.ReportMetric(float64(d.Calls()-calls)/float64(b.N), "calls/op")
	b.ReportMetric(float64(md.DataPointCount()), "points/op")
}

// newFloorGPUs returns a loop over the calls that a scrape makes, once each.
func newFloorGPUs(b *testing.B, d *nvmltest.Driver) scrape {
	lib := nvml.New(nvml.WithLibraryPath(d.Library()))
	if ret := lib.Init(); ret != nvml.SUCCESS {
		b.Fatal(ret)
	}
	set, _ := lib.EventSetCreate()
	var gpus, migs []nvml.Device
	var divided []bool
	for i := range 8 {
		g, ret := lib.DeviceGetHandleByIndex(i)
		if ret != nvml.SUCCESS {
			b.Fatal(ret)
		}
		gpus = append(gpus, g)
		_ = g.RegisterEvents(nvml.EventTypeXidCriticalError, set)
		mode, _, _ := g.GetMigMode()
		divided = append(divided, mode == nvml.DEVICE_MIG_ENABLE)
		for k := 0; divided[i] && k < 7; k++ {
			m, ret := g.GetMigDeviceHandleByIndex(k)
			if ret != nvml.SUCCESS {
				b.Fatal(ret)
			}
			migs = append(migs, m)
		}
	}
	var seen [8]uint64
	none := pmetric.NewMetrics()
	return func(context.Context) pmetric.Metrics {
		for i, g := range gpus {
			_, _ = g.GetMemoryInfo_v2()
			_, _ = g.GetTotalEnergyConsumption()
			if !divided[i] {
				_, samples, _ := g.GetSamples(nvml.GPU_UTILIZATION_SAMPLES, seen[i])
				for k := range samples {
					seen[i] = max(seen[i], samples[k].TimeStamp)
				}
			}
			_, _ = g.GetPowerUsage()
			_, _ = g.GetTemperature(nvml.TEMPERATURE_GPU)
			_, _ = g.GetTotalEccErrors(nvml.MEMORY_ERROR_TYPE_CORRECTED, nvml.AGGREGATE_ECC)
			_, _ = g.GetTotalEccErrors(nvml.MEMORY_ERROR_TYPE_UNCORRECTED, nvml.AGGREGATE_ECC)
			_, _, _, _, _ = g.GetRemappedRows()
			_, _ = set.Wait(0)
		}
		for _, m := range migs {
			_, _ = m.GetMemoryInfo_v2()
		}
		return none
	}
}
