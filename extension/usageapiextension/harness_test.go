package usageapiextension

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/metadata"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/openapi"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store/storetest"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// served is an extension that listens.
type served struct {
	*usageAPI
	url    string
	client *http.Client
	check  *contract
}

// serve starts an extension with the default configuration, changed and without limits of
// rates.
func serve(tb testing.TB, change ...func(*Config)) *served {
	tb.Helper()
	return serveOn(tb, componenttest.NewNopHost(), extensiontest.NewNopSettings(metadata.Type), change...)
}

// serveOn starts an extension on a host.
func serveOn(tb testing.TB, host component.Host, set extension.Settings, change ...func(*Config)) *served {
	tb.Helper()
	cfg := createDefaultConfig().(*Config)
	cfg.ServerConfig.NetAddr.Endpoint = "127.0.0.1:0"
	cfg.RateLimits.PerPrincipal.Burst, cfg.RateLimits.PerAddress.Burst = -1, -1 // tests ask faster
	for _, f := range change {
		f(cfg)
	}
	require.NoError(tb, cfg.Validate())
	e, err := newExtension(set, cfg)
	require.NoError(tb, err)
	require.NoError(tb, e.Start(context.Background(), host))
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 100}
	s := &served{e, "http://" + e.server.addr.String(), &http.Client{Transport: transport}, newContract(tb)}
	tb.Cleanup(func() {
		transport.CloseIdleConnections()
		require.NoError(tb, e.Shutdown(context.Background()))
	})
	return s
}

func (s *served) consume(mds ...pmetric.Metrics) {
	for _, md := range mds {
		s.ConsumeMetrics(context.Background(), md)
	}
}

// machines fills the store with n machines, each with levels, a closed and an open
// period and states. Machine i has the CPU utilization i/100.
func (s *served) machines(n int) {
	at := time.Now().Unix() * int64(time.Second)
	for i := range n {
		m := storetest.Machine(i)
		m.CPU = float64(i%100) / 100
		m.States = []usage.ThresholdState{{Rule: "cpu-high", Level: usage.ThresholdLevel(i % 3), At: at}} //nolint:gosec // 0 to 2
		s.consume(m.Levels(at), periods(m.Period(1, at-30e9, at)), m.Levels(at+10e9))
	}
}

func periods(ps ...*usage.Period) pmetric.Metrics {
	md := pmetric.NewMetrics()
	for _, p := range ps {
		usage.AppendPeriod(md.ResourceMetrics(), p)
	}
	return md
}

// answer is a response that was read.
type answer struct {
	*http.Response
	body []byte
}

// get asks, and holds the answer against the document.
func (s *served) get(tb testing.TB, path string, header ...string) answer {
	tb.Helper()
	return s.ask(tb, http.MethodGet, path, header...)
}

func (s *served) ask(tb testing.TB, method, path string, header ...string) answer {
	tb.Helper()
	return s.send(tb, method, path, "", header...)
}

// send asks with a body of JSON.
func (s *served) send(tb testing.TB, method, path, body string, header ...string) answer {
	tb.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, s.url+path, strings.NewReader(body))
	require.NoError(tb, err)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	res, err := s.client.Do(r)
	require.NoError(tb, err)
	defer res.Body.Close()
	got, err := readAll(res)
	require.NoError(tb, err)
	a := answer{res, got}
	s.check.answer(tb, method, strings.SplitN(path, "?", 2)[0], a)
	return a
}

// readAll reads a body, or what a stream tells at first.
func readAll(res *http.Response) ([]byte, error) {
	if res.Header.Get("Content-Type") != "text/event-stream" {
		return io.ReadAll(res.Body)
	}
	var told []byte
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		told = append(append(told, lines.Bytes()...), '\n')
		if strings.HasPrefix(lines.Text(), "event: current") {
			break
		}
	}
	return told, nil
}

func (a answer) decode(tb testing.TB, into any) {
	tb.Helper()
	require.NoError(tb, json.Unmarshal(a.body, into), "%s", a.body)
}

// contract holds answers against the OpenAPI document.
type contract struct {
	document *openapi.Document
	compiler *jsonschema.Compiler
}

func newContract(tb testing.TB) *contract {
	tb.Helper()
	d, err := openapi.New()
	require.NoError(tb, err)
	root, err := jsonschema.UnmarshalJSON(bytes.NewReader(d.JSON))
	require.NoError(tb, err)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	require.NoError(tb, c.AddResource("file:///openapi.json", root))
	return &contract{d, c}
}

// operation returns the one that a path is of.
func (c *contract) operation(method, path string) (openapi.Operation, bool) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, o := range c.document.Operations {
		want, have := strings.Split(o.Path, "/"), strings.Split(path, "/")
		if !strings.EqualFold(o.Method, method) || len(want) != len(have) {
			continue
		}
		same := true
		for i := range want {
			same = same && (want[i] == have[i] || strings.HasPrefix(want[i], "{") && have[i] != "")
		}
		if same {
			return o, true
		}
	}
	return openapi.Operation{}, false
}

// answer fails the test where an answer is not one that the document has.
func (c *contract) answer(tb testing.TB, method, path string, a answer) {
	tb.Helper()
	contentType, _, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	if len(a.body) > 0 {
		require.NoError(tb, err, "%s %s: content type of %d", method, path, a.StatusCode)
	}
	o, known := c.operation(method, path)
	pointer := "/components/schemas/Problem"
	if known && a.StatusCode != http.StatusMisdirectedRequest {
		require.Contains(tb, o.Statuses, strconv.Itoa(a.StatusCode), "%s %s answers what the document does not have: %s", method, path, a.body)
		pointer = ""
	} else {
		require.GreaterOrEqual(tb, a.StatusCode, 400, "%s %s is not in the document", method, path)
		require.Equal(tb, "application/problem+json", contentType)
	}
	if len(a.body) == 0 || a.Header.Get("Content-Encoding") != "" {
		return
	}
	if pointer == "" {
		pointer = "/paths/" + escaped(o.Path) + "/" + o.Method + "/responses/" + strconv.Itoa(a.StatusCode)
		if a.StatusCode >= 400 && contentType == "application/problem+json" {
			pointer = "/components/responses/Problem"
		} else if o.ID == "getMachine" {
			pointer = "/components/responses/Machine"
		}
		pointer += "/content/" + escaped(contentType) + "/schema"
	}
	schema, err := c.compiler.Compile("file:///openapi.json#" + pointer)
	require.NoError(tb, err, "%s %s: the document has no schema of %d %s", method, path, a.StatusCode, contentType)
	var value any = string(a.body)
	if strings.HasSuffix(contentType, "json") {
		value, err = jsonschema.UnmarshalJSON(bytes.NewReader(a.body))
		require.NoError(tb, err, "%s %s: %q", method, path, a.body)
	}
	assert.NoError(tb, schema.Validate(value), "%s %s: %s", method, path, a.body)
}

// escaped is a part of a JSON pointer in a URL.
func escaped(s string) string {
	s = strings.NewReplacer("~", "~0", "/", "~1").Replace(s)
	return strings.NewReplacer("{", "%7B", "}", "%7D").Replace(s)
}
