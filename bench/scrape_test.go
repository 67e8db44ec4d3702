package bench

import (
	"context"
	"testing"

	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/hostmetricsreceiver"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"golang.org/x/sys/unix"

	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver"
)

// BenchmarkScrape is one scrape of this machine: ours, with what the ledger
// does; contrib's hostmetrics with the same metrics on; and the floor, which is
// the same files read by bare system calls into a buffer that is used again.
// Beside them, pdata is what any receiver pays for metrics of this size: a copy
// of one scrape's.
func BenchmarkScrape(b *testing.B) {
	b.Run("vm_usage", func(b *testing.B) {
		f := vmusagereceiver.NewFactory()
		scrape, err := vmusagereceiver.NewScrape(receivertest.NewNopSettings(f.Type()), f.CreateDefaultConfig())
		if err != nil {
			b.Fatal(err)
		}
		points := scrape(b.Context()).DataPointCount()
		b.ReportAllocs()
		cpu := cpuTime(b)
		for b.Loop() {
			points = scrape(b.Context()).DataPointCount()
		}
		cpu()
		b.ReportMetric(float64(points), "points/op")
	})
	b.Run("pdata", pdata)
	b.Run("hostmetrics", hostmetrics)
	b.Run("floor", floor)
}

func pdata(b *testing.B) {
	f := vmusagereceiver.NewFactory()
	scrape, err := vmusagereceiver.NewScrape(receivertest.NewNopSettings(f.Type()), f.CreateDefaultConfig())
	if err != nil {
		b.Fatal(err)
	}
	md := scrape(b.Context())
	b.ReportAllocs()
	cpu := cpuTime(b)
	for b.Loop() {
		md.CopyTo(pmetric.NewMetrics())
	}
	cpu()
}

// hostmetrics scrapes as fast as its ticker allows: the consumer holds it until
// the next turn of the loop.
func hostmetrics(b *testing.B) {
	f := hostmetricsreceiver.NewFactory()
	cfg := f.CreateDefaultConfig()
	// What vm_usage emits and no more. connections and the states of processes
	// are off: they walk every process.
	conf := confmap.NewFromStringMap(map[string]any{
		"collection_interval": "1ns",
		"initial_delay":       "0s",
		"scrapers": map[string]any{
			"cpu": map[string]any{"metrics": map[string]any{
				"system.cpu.logical.count": map[string]any{"enabled": true},
				"system.cpu.utilization":   map[string]any{"enabled": true},
			}},
			"load": map[string]any{},
			"memory": map[string]any{"metrics": map[string]any{
				"system.memory.limit":       map[string]any{"enabled": true},
				"system.memory.utilization": map[string]any{"enabled": true},
			}},
			"paging": map[string]any{"metrics": map[string]any{
				"system.paging.faults":     map[string]any{"enabled": false},
				"system.paging.operations": map[string]any{"enabled": false},
			}},
			"disk": map[string]any{},
			"filesystem": map[string]any{"metrics": map[string]any{
				"system.filesystem.inodes.usage": map[string]any{"enabled": false},
				"system.filesystem.utilization":  map[string]any{"enabled": true},
			}},
			"network": map[string]any{"metrics": map[string]any{
				"system.network.connections": map[string]any{"enabled": false},
			}},
			"system": map[string]any{},
		},
	})
	if err := conf.Unmarshal(&cfg); err != nil {
		b.Fatal(err)
	}
	scraped := make(chan int)
	next, err := consumer.NewMetrics(func(ctx context.Context, md pmetric.Metrics) error {
		select {
		case scraped <- md.DataPointCount():
		case <-b.Context().Done():
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	r, err := f.CreateMetrics(b.Context(), receivertest.NewNopSettings(f.Type()), cfg, next)
	if err != nil {
		b.Fatal(err)
	}
	if err := r.Start(b.Context(), componenttest.NewNopHost()); err != nil {
		b.Fatal(err)
	}
	points := <-scraped
	b.ReportAllocs()
	cpu := cpuTime(b)
	for b.Loop() {
		points = <-scraped
	}
	cpu()
	b.ReportMetric(float64(points), "points/op")
	go func() {
		for range scraped {
		}
	}()
	if err := r.Shutdown(context.Background()); err != nil {
		b.Fatal(err)
	}
}

func floor(b *testing.B) {
	var fds []int
	for _, path := range []string{
		"/proc/stat", "/proc/loadavg", "/proc/meminfo", "/proc/diskstats", "/proc/net/dev", "/proc/uptime",
	} {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			b.Fatal(err)
		}
		defer unix.Close(fd)
		fds = append(fds, fd)
	}
	buf := make([]byte, 1<<16)
	var st unix.Statfs_t
	b.ReportAllocs()
	cpu := cpuTime(b)
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
		if err := unix.Statfs("/", &st); err != nil {
			b.Fatal(err)
		}
	}
	cpu()
}

// cpuTime starts to count what all threads of the process take, the garbage
// collector's included; the function it returns reports it for each operation, in ns.
func cpuTime(b *testing.B) func() float64 {
	used := func() int64 {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	before := used()
	return func() float64 {
		each := float64(used()-before) / float64(b.N)
		b.ReportMetric(each, "cpu-ns/op")
		return each
	}
}
