package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// An api is a real usage API, without a collector around it.
type api struct {
	url  string
	sink interface {
		ConsumeMetrics(ctx context.Context, md pmetric.Metrics)
	}
}

func newAPI(t *testing.T, change ...func(*usageapiextension.Config)) *api {
	t.Helper()
	f := usageapiextension.NewFactory()
	cfg := f.CreateDefaultConfig().(*usageapiextension.Config)
	addr := freeAddr(t)
	cfg.ServerConfig.NetAddr.Endpoint = addr
	for _, c := range change {
		c(cfg)
	}
	require.NoError(t, cfg.Validate())
	e, err := f.Create(t.Context(), extensiontest.NewNopSettings(f.Type()), cfg)
	require.NoError(t, err)
	require.NoError(t, e.Start(t.Context(), componenttest.NewNopHost()))
	t.Cleanup(func() { require.NoError(t, e.Shutdown(context.Background())) })
	a := &api{url: "http://" + addr}
	var ok bool
	a.sink, ok = e.(interface {
		ConsumeMetrics(ctx context.Context, md pmetric.Metrics)
	})
	require.True(t, ok)
	return a
}

// consume feeds the API n instances that have read so many bytes.
func (a *api) consume(n int, at time.Time, read int64) {
	md := pmetric.NewMetrics()
	for i := range n {
		rm := md.ResourceMetrics().AppendEmpty()
		id := strconv.Itoa(i)
		usage.PutResource(rm.Resource(), &usage.Instance{
			ID: "vm-" + id, Name: "web-" + id, Hypervisor: "qemu", UserID: "user-" + id, OrgID: "org-" + strconv.Itoa(i%2),
			Labels: []usage.Label{{Key: "n", Value: id}},
		})
		ms := rm.ScopeMetrics().AppendEmpty().Metrics()
		point := func(name string) pmetric.NumberDataPoint {
			m := ms.AppendEmpty()
			m.SetName(name)
			p := m.SetEmptyGauge().DataPoints().AppendEmpty()
			p.SetTimestamp(pcommon.NewTimestampFromTime(at))
			return p
		}
		point("vm.cpu.utilization").SetDoubleValue(float64(i) / 20000)
		point("vm.memory.usage").SetIntValue(1 << 53)
		p := point("vm.disk.io")
		p.SetIntValue(read)
		p.Attributes().PutStr("system.device", "vda")
		p.Attributes().PutStr("disk.io.direction", "read")
	}
	a.sink.ConsumeMetrics(context.Background(), md)
}

func instances(t *testing.T, text string) []map[string]json.RawMessage {
	t.Helper()
	var rows []map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(text), &rows))
	return rows
}

func TestTopOnce(t *testing.T) {
	a := newAPI(t)
	status, out, say := call(t, "top", "--once", "--json", "--endpoint", a.url)
	require.Equal(t, exitOK, status, say)
	assert.Equal(t, "[\n]\n", out)

	a.consume(3, time.Now(), 1<<60+1)
	status, out, say = call(t, "top", "--once", "--endpoint", a.url)
	require.Equal(t, exitOK, status, say)
	assert.Regexp(t, `^INSTANCE .*CPU %↓.*\nweb-2 .*\nweb-1 .*\nweb-0 .*\n$`, out)

	status, out, _ = call(t, "top", "--once", "--json", "--sort", "name", "--reverse", "--endpoint", a.url)
	require.Equal(t, exitOK, status)
	rows := instances(t, out)
	require.Len(t, rows, 3)
	assert.Equal(t, `"vm-2"`, string(rows[0]["id"]))
	assert.Equal(t, "1152921504606846977", string(rows[0]["disk_read_bytes_total"]), "to the byte")
	assert.Equal(t, "9007199254740992", string(rows[0]["memory_used_bytes"]))
	assert.Equal(t, "null", string(rows[0]["disk_read_bytes_per_second"]), "asked once")
	assert.Equal(t, "null", string(rows[0]["memory_utilization_ratio"]))
	assert.Len(t, rows[0], 22, "docs/api.md lists them")
}

func TestTopFilters(t *testing.T) {
	a := newAPI(t)
	a.consume(4, time.Now(), 1)
	for flags, want := range map[string]string{
		"":                         "0123",
		"--user user-1":            "1",
		"--user=":                  "",
		"--org org-0":              "02",
		"--label n=3":              "3",
		"--label n=3 --label n":    "3",
		"--label other":            "",
		"--name web-[12]":          "12",
		"--level warning":          "",
		"--org org-1 --name *-3":   "3",
		"--level ok --user user-2": "2",
	} {
		status, out, say := call(t, append([]string{"top", "--once", "--json", "--sort", "name", "--endpoint", a.url}, strings.Fields(flags)...)...)
		require.Equal(t, exitOK, status, "%s: %s", flags, say)
		got := ""
		for _, row := range instances(t, out) {
			got += strings.Trim(string(row["id"]), `"vm-`) // the digit
		}
		assert.Equal(t, want, got, flags)
	}
}

// Between the two questions the API is fed.
func TestTopRates(t *testing.T) {
	a := newAPI(t)
	at := time.Now().Truncate(time.Second)
	a.consume(2, at, 1000)
	target, err := url.Parse(a.url)
	require.NoError(t, err)
	var asked atomic.Int32
	proxy := httputil.NewSingleHostReverseProxy(target)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 2 {
			a.consume(2, at.Add(10*time.Second), 6000)
		}
		proxy.ServeHTTP(w, r)
	}))
	defer front.Close()
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	status, out, say := call(t, "top", "--once", "--json", "--interval", "200ms", "--endpoint", front.URL)
	require.Equal(t, exitOK, status, say)
	rows := instances(t, out)
	require.Len(t, rows, 2)
	for _, row := range rows {
		assert.Equal(t, "500", string(row["disk_read_bytes_per_second"]))
		assert.Equal(t, "null", string(row["disk_write_bytes_per_second"]))
		assert.Equal(t, "0", string(row["age_seconds"]), "it was read in the future")
	}
}

func TestTopOfManyInstances(t *testing.T) {
	const n = 10_000
	a := newAPI(t)
	a.consume(n, time.Now(), 1)
	var out, say bytes.Buffer // more lines than a screen keeps
	status := run(t.Context(), terminal{out: &out, err: &say, getenv: func(string) string { return "" }}, []string{"top", "--once", "--json", "--endpoint", a.url})
	require.Equal(t, exitOK, status, say.String())
	rows := instances(t, out.String())
	require.Len(t, rows, n)
	ids := map[string]bool{}
	for _, row := range rows {
		ids[string(row["id"])] = true
	}
	assert.Len(t, ids, n)
	assert.Equal(t, `"vm-9999"`, string(rows[0]["id"]), "the busiest")
}

func TestTopCalledWrongly(t *testing.T) {
	for flags, want := range map[string]string{
		"--sort ram":             `--sort is "ram": use cpu, mem, disk, net, gpu, name, state`,
		"--json":                 "--json goes with --once",
		"--once --level bad":     `--level is "bad": use ok, warning or critical`,
		"--once --level=":        `--level is ""`,
		"--interval 1ms":         "--interval is 1ms: it must be at least 200ms",
		"--endpoint here":        `--endpoint is "here"`,
		"--token-file /dev/none": "--token-file: open /dev/none",
		"":                       "stdout is no terminal that can show a live table: use --once",
		"web-1":                  "unknown command",
	} {
		status, out, say := call(t, append([]string{"top"}, strings.Fields(flags)...)...)
		assert.Equal(t, exitUsage, status, flags)
		assert.Contains(t, say, want)
		assert.Empty(t, out)
	}
}

func TestTopFails(t *testing.T) {
	status, out, say := call(t, "top", "--once", "--json", "--endpoint", "http://"+freeAddr(t))
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, say, "is the collector running with the usage_api extension")
	assert.Empty(t, out)

	keys := filepath.Join(t.TempDir(), "keys.yaml")
	status, key, say := call(t, "apikey", "create", "-f", keys, "--name", "portal", "--org", "org-1")
	require.Equal(t, exitOK, status, say)
	a := newAPI(t, func(c *usageapiextension.Config) {
		c.APIKeys = configoptional.Some(usageapiextension.APIKeysConfig{File: keys, Interval: time.Second})
	})
	a.consume(4, time.Now(), 1)
	status, _, say = call(t, "top", "--once", "--endpoint", a.url)
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, say, "401 Unauthorized")
	assert.Contains(t, say, "VMUSAGE_TOKEN")

	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte(key), 0o600))
	status, out, say = call(t, "top", "--once", "--json", "--endpoint", a.url, "--token-file", token)
	require.Equal(t, exitOK, status, say)
	assert.Len(t, instances(t, out), 2, "those of its organization")
	status, _, say = call(t, "top", "--once", "--endpoint", a.url, "--token-file", token, "--name", "[")
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, say, "400 Bad Request")
	assert.Contains(t, say, "name: ")
}
