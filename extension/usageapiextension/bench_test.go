package usageapiextension

import (
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/conns"
	"golang.org/x/sys/unix"
)

// writes is a bare handler that writes the same bytes to everybody.
func writes(body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	})
}

// floor is a bare net/http server with that handler.
func floor(b *testing.B, body []byte) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: writes(body)}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	b.Cleanup(func() { s.Close(); <-done })
	return "http://" + l.Addr().String()
}

// framework is the collector's HTTP server with that handler.
func framework(b *testing.B, cfg *Config, body []byte) string {
	b.Helper()
	s, err := startServer(b.Context(), componenttest.NewNopHost(), componenttest.NewNopTelemetrySettings(), cfg, writes(body), func(conns.Reason) {})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.shutdown(context.Background())) })
	return "http://" + s.addr.String()
}

func fetch(b *testing.B, client *http.Client, url string) {
	res, err := client.Get(url)
	if err != nil {
		b.Error(err)
		return
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
		b.Error(res.Status, err)
	}
	res.Body.Close()
}

// drive asks with as many clients as there are CPUs.
func drive(b *testing.B, client *http.Client, url func(i int) string) {
	b.Helper()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			fetch(b, client, url(i))
		}
	})
}

// often has limits that are kept, and never reached: a full bucket is worth a second, which
// no request waits between the look at the clock and its turn.
func often(c *Config) {
	c.RateLimits.PerAddress = RateConfig{Burst: 1_000_000, Every: time.Microsecond}
	c.RateLimits.PerPrincipal = c.RateLimits.PerAddress
}

// BenchmarkCurrent asks for one of 10,000 instances after the other: through the API;
// the floor, a bare net/http handler with the same bytes; and that handler within the
// collector's HTTP server, which measures and traces each request. The clients' work
// is in all.
func BenchmarkCurrent(b *testing.B) {
	const instances = 10_000
	s := serve(b, often)
	s.machines(instances)
	path := func(i int) string {
		return "/api/v1/usage/instances/vm-" + strconv.Itoa(100_000 + i%instances)[1:] + "/current"
	}
	body := s.get(b, path(0)).body
	urls := [...]string{s.url, floor(b, body), framework(b, s.cfg, body)}
	for i, name := range [...]string{"api", "floor", "framework"} {
		b.Run(name, func(b *testing.B) { drive(b, s.client, func(k int) string { return urls[i] + path(k) }) })
	}
	b.Run("ratio", func(b *testing.B) {
		// By CPU time of the process, and in turns: whatever else the machine does is
		// in none, or in all.
		const turn = 50
		var used [len(urls)]time.Duration
		n := 0
		for b.Loop() {
			for i, url := range urls {
				start := processTime(b)
				for k := range turn {
					fetch(b, s.client, url+path(n+k))
				}
				used[i] += processTime(b) - start
			}
			n += turn
		}
		b.ReportMetric(100*float64(used[1])/float64(used[0]), "%_of_floor_rate")
		b.ReportMetric(100*float64(used[2])/float64(used[0]), "%_of_framework_rate")
		b.ReportMetric(float64(used[0].Microseconds())/float64(n), "cpu_us")
		b.ReportMetric(float64(len(body)), "bytes")
	})
}

// processTime is the CPU time of all threads.
func processTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkList asks for a page, in an order and with filters, and for groups.
func BenchmarkList(b *testing.B) {
	s := serve(b, often)
	s.machines(10_000)
	for name, query := range map[string]string{
		"page":      "?limit=100",
		"filtered":  "?limit=100&label=env%3Dprod&threshold=warning&min_cpu=0.5&sort=-cpu&fields=name,cpu",
		"aggregate": "?aggregate=sum&by=org",
		"by_user":   "?aggregate=avg&by=user&limit=100",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				fetch(b, s.client, s.url+"/api/v1/usage/instances"+query)
			}
		})
	}
}
