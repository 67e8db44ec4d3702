package usageapiextension

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// floor is a bare net/http server that writes the same bytes.
func floor(b *testing.B, body []byte) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	b.Cleanup(func() { s.Close(); <-done })
	return "http://" + l.Addr().String()
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

// BenchmarkCurrent asks for one of 10,000 instances after the other: through the API,
// and the floor with the same bytes. The clients' work is in both.
func BenchmarkCurrent(b *testing.B) {
	const instances = 10_000
	s := serve(b)
	s.machines(instances)
	path := func(i int) string {
		return "/api/v1/usage/instances/vm-" + strconv.Itoa(100_000 + i%instances)[1:] + "/current"
	}
	body := s.get(b, path(0)).body
	bare := floor(b, body)
	b.Run("api", func(b *testing.B) { drive(b, s.client, func(i int) string { return s.url + path(i) }) })
	b.Run("floor", func(b *testing.B) { drive(b, s.client, func(i int) string { return bare + path(i) }) })
	b.Run("ratio", func(b *testing.B) {
		// By CPU time of the process, and in turns: whatever else the machine does is
		// in neither, or in both.
		const turn = 50
		var ours, theirs time.Duration
		for i := 0; b.Loop(); i++ {
			start := processTime(b)
			for k := range turn {
				fetch(b, s.client, bare+path(i*turn+k))
			}
			middle := processTime(b)
			for k := range turn {
				fetch(b, s.client, s.url+path(i*turn+k))
			}
			theirs += middle - start
			ours += processTime(b) - middle
		}
		b.ReportMetric(100*float64(theirs)/float64(ours), "%_of_floor_rate")
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
	s := serve(b)
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
