package usageapiextension

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store/storetest"
)

// The shape of the service before this one, to the name and the unit.
func TestTheMachine(t *testing.T) {
	s := serve(t)
	assert.Equal(t, http.StatusNotFound, s.get(t, "/get").StatusCode)
	m := storetest.Machine(1)
	m.CPU = 0.125
	s.consume(m.Levels(1_700_000_000_123_456_789))
	a := s.get(t, "/get")
	assert.Equal(t, http.StatusOK, a.StatusCode)
	assert.JSONEq(t, `{
	  "timestamp": 1700000000, "instance_id": "vm-00001", "account_id": "user-1",
	  "cpu": {"usage_pct": 12.5, "process_count": 123},
	  "memory": {"total": 8589934592, "free": 3221225472, "available": 4294967296, "used": 4294967296, "total_swap": 4194304, "used_swap": 1048576},
	  "disks": [{"device_name": "vda", "reads_completed": 4824, "reads_merged": 2830, "sectors_read": 454138, "time_reading": 1588,
	    "writes_completed": 357, "writes_merged": 3325, "sectors_written": 66016, "time_writing": 275,
	    "io_in_progress": 2, "time_doing_io": 756, "weighted_time_doing_io": 2011}],
	  "network": {"interfaces": [{"name": "eth0", "bytes_sent": 14385, "bytes_received": 1048576, "packets_sent": 166, "packets_received": 228,
	    "errors_in": 2, "errors_out": 1, "drops_in": 4, "drops_out": 3, "speed": 10000}]},
	  "gpus": [{"index": 3, "model": "NVIDIA H100", "utilization_bps": 7500, "memory_usage_bps": 2500, "temperature_deci_c": 615, "power_draw_deci_w": 3123}],
	  "load": {"load1": 125, "load5": 50, "load15": 10}
	}`, string(a.body))

	s.consume(storetest.Machine(2).Levels(1))
	assert.Equal(t, http.StatusConflict, s.get(t, "/get").StatusCode)
	self := storetest.Machine(3)
	self.Instance.Hypervisor = "none"
	s.consume(self.Levels(1))
	assert.Contains(t, string(s.get(t, "/get").body), `"instance_id":"vm-00003"`, "the machine itself, beside guests")
}

// What a source does not say is null, and 0 only in the shape of the service before this one.
func TestLevelsThatAreNotThere(t *testing.T) {
	const disk, nic = `"read_merged":2830,"write_merged":3325,"pending_operations":2,"io_seconds":0.756,"weighted_io_seconds":2.011}`,
		`"speed_bits_per_second":10000000000}`
	s := serve(t)
	s.consume(storetest.Machine(1).Levels(1))
	body := string(s.get(t, "/api/v1/usage/instances/vm-00001/current").body)
	assert.Contains(t, body, disk)
	assert.Contains(t, body, nic)
	assert.Contains(t, body, `"free_bytes":3221225472,`)

	md := storetest.Machine(1).Levels(2)
	md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().RemoveIf(func(m pmetric.Metric) bool {
		return slices.Contains([]string{
			"vm.memory.free", "vm.disk.merged", "vm.disk.pending_operations", "vm.disk.io_time", "vm.disk.weighted_io_time", "vm.network.speed",
		}, m.Name())
	})
	s.consume(md)
	body = string(s.get(t, "/api/v1/usage/instances/vm-00001/current").body)
	assert.Contains(t, body, `"read_merged":null,"write_merged":null,"pending_operations":null,"io_seconds":null,"weighted_io_seconds":null}`)
	assert.Contains(t, body, `"speed_bits_per_second":null}`)
	assert.Contains(t, body, `"free_bytes":null,`)
	body = string(s.get(t, "/get").body)
	assert.Contains(t, body, `"io_in_progress":0,"time_doing_io":0,"weighted_time_doing_io":0}`)
	assert.Contains(t, body, `"speed":0}`)
	assert.Contains(t, body, `"free":0,"available":4294967296,`)
}

func TestAnInstance(t *testing.T) {
	s := serve(t)
	s.machines(2)
	var got struct {
		ID     string
		UserID string `json:"user_id"`
		Labels map[string]string
		CPU    struct{ Utilization float64 }
		Period struct {
			Open   struct{ Usage map[string]int64 }
			Closed struct {
				Sequence int64
				Quality  string
				Usage    map[string]int64
			}
		}
		Thresholds struct{ Level string }
	}
	s.get(t, "/api/v1/usage/instances/vm-00001/current").decode(t, &got)
	assert.Equal(t, "vm-00001", got.ID)
	assert.Equal(t, "user-1", got.UserID)
	assert.Equal(t, map[string]string{"env": "prod"}, got.Labels)
	assert.Equal(t, 0.01, got.CPU.Utilization)
	assert.Equal(t, map[string]int64{
		"cpu_time_us": 0, "disk_read_bytes": 0, "disk_write_bytes": 0, "disk_read_operations": 0, "disk_write_operations": 0,
		"network_transmit_bytes": 0, "network_receive_bytes": 0, "network_transmit_packets": 0, "network_receive_packets": 0,
	}, got.Period.Open.Usage)
	assert.Equal(t, int64(1), got.Period.Closed.Sequence)
	assert.Equal(t, "measured", got.Period.Closed.Quality)
	assert.Equal(t, int64(15_230_000), got.Period.Closed.Usage["cpu_time_us"])
	assert.Equal(t, "warning", got.Thresholds.Level)

	a := s.get(t, "/api/v1/usage/instances/vm-00009/current")
	assert.Equal(t, http.StatusNotFound, a.StatusCode)
}

// page is what the tests read of lists.
type page struct {
	Instances []struct{ ID string }
	Next      *string `json:"next_cursor"`
	Summary   struct {
		Instances int
		Values    map[string]*float64
	}
	Groups []struct {
		Key       *string
		Instances int
		Values    map[string]*float64
	}
}

func (p page) ids() (ids []string) {
	for _, i := range p.Instances {
		ids = append(ids, strings.TrimPrefix(i.ID, "vm-"))
	}
	return ids
}

func TestFilters(t *testing.T) {
	s := serve(t)
	s.machines(6)
	other := storetest.Machine(7)
	other.Instance.OrgID, other.Instance.UserID, other.Instance.Hypervisor, other.Instance.Labels = "", "", "none", nil
	other.Instance.Name = "db-7"
	s.consume(other.Levels(1))
	for query, want := range map[string]string{
		"":                             "00000 00001 00002 00003 00004 00005 00007",
		"user=user-3":                  "00003",
		"user=":                        "00007",
		"org=org-0&threshold=critical": "00002 00005",
		"threshold=warning":            "00001 00002 00004 00005",
		"label=env":                    "00000 00001 00002 00003 00004 00005",
		"label=env%3Dprod&label=team":  "",
		"hypervisor=none":              "00007",
		"name=web-[1-2]":               "00001 00002",
		"name=*-7":                     "00007",
		"min_cpu=0.04":                 "00004 00005 00007",
		"min_cpu=0.04&sort=-cpu":       "00007 00005 00004",
		"min_memory=0.51":              "",
		"min_gpu=0.75&limit=1":         "00000",
		"sort=name&limit=2":            "00007 00000",
		"sort=-threshold&limit=3":      "00005 00002 00004",
		"sort=-id&limit=2":             "00007 00005",
		"min_storage=0.25&user=user-0": "00000",
	} {
		var p page
		a := s.get(t, "/api/v1/usage/instances?"+query)
		require.Equal(t, http.StatusOK, a.StatusCode, "%s: %s", query, a.body)
		a.decode(t, &p)
		assert.Equal(t, want, strings.Join(p.ids(), " "), query)
	}
}

// Pages put together are the list, each instance once, in every order.
func TestPages(t *testing.T) {
	s := serve(t)
	s.machines(23)
	for _, order := range []string{"id", "-id", "name", "-name", "cpu", "-cpu", "memory", "-memory", "storage", "gpu", "threshold", "-threshold"} {
		var whole page
		s.get(t, "/api/v1/usage/instances?sort="+order).decode(t, &whole)
		require.Len(t, whole.Instances, 23)
		assert.Nil(t, whole.Next)
		var ids []string
		for cursor := ""; ; {
			var p page
			s.get(t, "/api/v1/usage/instances?limit=5&sort="+order+cursor).decode(t, &p)
			ids = append(ids, p.ids()...)
			if p.Next == nil {
				break
			}
			cursor = "&cursor=" + *p.Next
		}
		assert.Equal(t, whole.ids(), ids, order)
	}
	var p page
	s.get(t, "/api/v1/usage/instances?limit=5").decode(t, &p)
	assert.Equal(t, http.StatusBadRequest, s.get(t, "/api/v1/usage/instances?limit=5&user=x&cursor="+*p.Next).StatusCode, "of another query")
}

func TestOwners(t *testing.T) {
	s := serve(t)
	s.machines(4)
	var p page
	s.get(t, "/api/v1/usage/orgs/org-0/current?limit=3").decode(t, &p)
	assert.Len(t, p.Instances, 3)
	assert.Equal(t, 4, p.Summary.Instances)
	assert.InDelta(t, 0.24, *p.Summary.Values["cpu_used"], 1e-9, "(0 + 1 + 2 + 3) % of 4 CPUs each")
	assert.Equal(t, float64(32<<30), *p.Summary.Values["memory_limit_bytes"])
	assert.Nil(t, p.Summary.Values["cpu_utilization"])
	p = page{}
	s.get(t, "/api/v1/usage/users/user-2/current").decode(t, &p)
	assert.Equal(t, []string{"00002"}, p.ids())
	assert.Equal(t, http.StatusNotFound, s.get(t, "/api/v1/usage/users/user-9/current").StatusCode)
	assert.Equal(t, http.StatusNotFound, s.get(t, "/api/v1/usage/orgs/user-2/current").StatusCode)
}

func TestGroups(t *testing.T) {
	s := serve(t)
	s.machines(4)
	free := storetest.Machine(9)
	free.Instance.UserID, free.Instance.OrgID = "", ""
	s.consume(free.Levels(time.Now().UnixNano()))
	groups := func(query string) (p page) {
		s.get(t, "/api/v1/usage/instances?"+query).decode(t, &p)
		return p
	}
	p := groups("aggregate=sum&by=org")
	require.Len(t, p.Groups, 2)
	assert.Nil(t, p.Groups[0].Key)
	assert.Equal(t, "org-0", *p.Groups[1].Key)
	assert.Equal(t, 4, p.Groups[1].Instances)
	assert.Equal(t, 16.0, *p.Groups[1].Values["cpu_count"])
	assert.Equal(t, 0.03, *groups("aggregate=max&by=org").Groups[1].Values["cpu_utilization"])
	assert.Equal(t, 0.015, *groups("aggregate=avg&by=org").Groups[1].Values["cpu_utilization"])
	assert.Equal(t, 5, groups("aggregate=sum&by=label:env").Groups[0].Instances)

	var keys []string
	for cursor := ""; ; {
		p := groups("aggregate=sum&by=user&limit=2" + cursor)
		for _, g := range p.Groups {
			if g.Key == nil {
				keys = append(keys, "none")
				continue
			}
			keys = append(keys, *g.Key)
		}
		if p.Next == nil {
			break
		}
		cursor = "&cursor=" + *p.Next
	}
	assert.Equal(t, []string{"none", "user-0", "user-1", "user-2", "user-3"}, keys)
}

func TestWhatCannotBeAsked(t *testing.T) {
	s := serve(t)
	s.machines(1)
	for _, tt := range []struct{ path, parameter string }{
		{"/api/v1/usage/instances?usr=x", "usr"},
		{"/api/v1/usage/instances?user=a&user=b", "user"},
		{"/api/v1/usage/instances?user=" + strings.Repeat("x", 300), "user"},
		{"/api/v1/usage/instances?limit=0", "limit"},
		{"/api/v1/usage/instances?limit=1001", "limit"},
		{"/api/v1/usage/instances?min_cpu=80", "min_cpu"},
		{"/api/v1/usage/instances?min_gpu=nan", "min_gpu"},
		{"/api/v1/usage/instances?threshold=high", "threshold"},
		{"/api/v1/usage/instances?sort=size", "sort"},
		{"/api/v1/usage/instances?fields=cpu,ram", "fields"},
		{"/api/v1/usage/instances?name=[", "name"},
		{"/api/v1/usage/instances?label==x", "label"},
		{"/api/v1/usage/instances?label=a" + strings.Repeat("&label=a", 16), "label"},
		{"/api/v1/usage/instances?aggregate=sum", "aggregate"},
		{"/api/v1/usage/instances?by=user", "aggregate"},
		{"/api/v1/usage/instances?aggregate=median&by=user", "aggregate"},
		{"/api/v1/usage/instances?aggregate=sum&by=label:", "by"},
		{"/api/v1/usage/instances?aggregate=sum&by=user&sort=cpu", "sort"},
		{"/api/v1/usage/instances?cursor=x", "cursor"},
		{"/api/v1/usage/instances?cursor=" + url.QueryEscape("eyJxIjoxfQ"), "cursor"},
		{"/api/v1/usage/instances/vm-00000/current?limit=1", "limit"},
		{"/api/v1/usage/stream?limit=1", "limit"},
		{"/get?x", "x"},
	} {
		a := s.get(t, tt.path)
		require.Equal(t, http.StatusBadRequest, a.StatusCode, tt.path)
		var p struct {
			Errors []struct{ Parameter, Detail string }
		}
		a.decode(t, &p)
		require.NotEmpty(t, p.Errors, tt.path)
		assert.Equal(t, tt.parameter, p.Errors[0].Parameter, tt.path)
		assert.NotEmpty(t, p.Errors[0].Detail)
	}
	assert.Equal(t, http.StatusBadRequest, s.get(t, "/api/v1/usage/instances?%zz").StatusCode)
	assert.Equal(t, http.StatusNotFound, s.get(t, "/api/v2").StatusCode)
	a := s.ask(t, http.MethodPost, "/get")
	assert.Equal(t, http.StatusMethodNotAllowed, a.StatusCode)
	assert.Equal(t, "GET, HEAD", a.Header.Get("Allow"))
}

func TestCompressionAndTags(t *testing.T) {
	s := serve(t)
	s.machines(5)
	const path = "/api/v1/usage/instances"
	plain := s.get(t, path)
	zipped := s.get(t, path, "Accept-Encoding", "br, gzip;q=0.5")
	require.Equal(t, "gzip", zipped.Header.Get("Content-Encoding"))
	z, err := gzip.NewReader(bytes.NewReader(zipped.body))
	require.NoError(t, err)
	body, err := io.ReadAll(z)
	require.NoError(t, err)
	assert.Equal(t, string(plain.body), string(body))
	assert.NotEqual(t, plain.Header.Get("ETag"), zipped.Header.Get("ETag"), "strong tags of other bytes differ")
	assert.Contains(t, plain.Header.Get("Vary"), "Accept-Encoding")
	for _, tag := range []string{plain.Header.Get("ETag"), `"x", W/` + zipped.Header.Get("ETag"), "*"} {
		a := s.get(t, path, "If-None-Match", tag)
		assert.Equal(t, http.StatusNotModified, a.StatusCode, tag)
		assert.Empty(t, a.body)
	}
	assert.Empty(t, s.get(t, path, "Accept-Encoding", "gzip;q=0").Header.Get("Content-Encoding"))
	head := s.ask(t, http.MethodHead, path)
	assert.Equal(t, http.StatusOK, head.StatusCode)
	assert.Empty(t, head.body)
	assert.Equal(t, plain.Header.Get("Content-Length"), head.Header.Get("Content-Length"))

	s.consume(storetest.Machine(9).Levels(1))
	assert.Equal(t, http.StatusOK, s.get(t, path, "If-None-Match", plain.Header.Get("ETag")).StatusCode, "it is another one now")
}

// A name of another machine is not answered without authentication.
func TestANameThatWasMadeToPointHere(t *testing.T) {
	s := serve(t)
	s.machines(1)
	for host, want := range map[string]int{
		"evil.example:8080": http.StatusMisdirectedRequest, "192.0.2.7": http.StatusMisdirectedRequest,
		"localhost:1": http.StatusOK, "[::1]:8080": http.StatusOK, "127.0.0.9": http.StatusOK,
	} {
		assert.Equal(t, want, s.get(t, "/get", "Host", host).StatusCode, host)
	}
	open := serve(t, func(c *Config) { c.AllowUnauthenticated = true })
	open.machines(1)
	assert.Equal(t, http.StatusOK, open.get(t, "/get", "Host", "metering.example").StatusCode)
}
