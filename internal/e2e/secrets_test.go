package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"html"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestNoSecretIsShown runs a collector in which everything that holds a secret
// fails, with the log at its most verbose, and looks at all that it shows.
func TestNoSecretIsShown(t *testing.T) {
	bin := binary(t, "otelcol-vmusage")
	dir := t.TempDir()
	const mark = "S3cr3t" // is in every secret, and in nothing else
	secrets := map[string]string{}
	for _, name := range []string{"PLAIN", "SCRAM", "CLIENT", "PARAMETER", "TOKEN", "CLIENT_FILE", "TOKEN_FILE"} {
		secrets["SECRET_"+name] = mark + "-" + strings.ToLower(name)
	}
	cert, key := certificate(t)

	kafka := refusingKafka(t)
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/grant" {
			fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":3600}`, secrets["SECRET_TOKEN"])
			return
		}
		body, _ := io.ReadAll(r.Body)
		_, password, _ := r.BasicAuth()
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error":"invalid_client","error_description":"%s and %s are not known"}`, password, body)
	}))
	t.Cleanup(issuer.Close)

	zpages := freePort(t)
	env := []string{"KAFKA_BROKER=" + kafka, "ISSUER=" + issuer.URL, "ZPAGES=" + zpages, "CERTIFICATE=" + cert, "SECRET_KEY=" + key}
	for name, secret := range secrets {
		if strings.HasSuffix(name, "_FILE") {
			path := filepath.Join(dir, name)
			require.NoError(t, os.WriteFile(path, []byte(secret+"\n"), 0o600))
			secret = path
		}
		env = append(env, name+"="+secret)
	}
	i := install(t, "testdata/secrets.yaml", env...)
	c := i.start(t)
	failing := regexp.MustCompile(`usage_event/[a-z]+`)
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		said := map[string]bool{}
		for line := range strings.Lines(c.log.String()) {
			if strings.Contains(line, "publishing usage events to Kafka fails") {
				said[failing.FindString(line)] = true
			}
		}
		if len(said) == 6 {
			break
		}
		require.True(t, time.Now().Before(deadline), "only %v fail", said)
	}

	shown := map[string]string{"its own metrics": metrics(c.self)}
	require.NotEmpty(t, shown["its own metrics"])
	crawl(t, "http://"+zpages, shown)
	for _, page := range []string{"servicez", "pipelinez", "extensionz", "featurez", "tracez"} {
		require.Contains(t, shown, "/debug/"+page)
	}
	c.stop(t)
	shown["the log"] = c.log.String()
	require.Contains(t, shown["the log"], "\tdebug\t", "it is at its most verbose")
	require.Contains(t, shown["the log"], "client_secret=[REDACTED]&", "the words of the endpoint are there")
	require.Contains(t, shown["the log"], `"SpanContext"`, "and the spans are")

	for _, args := range [][]string{
		{"print-config", "--config", "testdata/secrets.yaml"},
		{"print-config", "--config", "testdata/secrets.yaml", "--format=json"},
		{"validate", "--config", "testdata/secrets.yaml"},
		{"validate", "--config", "testdata/secrets.yaml", "--set=exporters::usage_event/plain::auth::sasl::mechanism=MD5"},
		{"validate", "--config", "testdata/secrets.yaml", "--set=exporters::usage_event/file::auth::sasl::password=" + mark + "-extra"},
		{"validate", "--config", "testdata/secrets.yaml", "--set=exporters::usage_event/refused::auth::sasl::oauthbearer_client_credentials::client_secret_file=x"},
		{"validate", "--config", "testdata/secrets.yaml", "--set=exporters::usage_event/refused::auth::sasl::oauthbearer_client_credentials::token_url=https://u:" + mark + "@h/t"},
	} {
		name := strings.Join(args, " ")
		out, err := runWith(t, i.env, bin, args...)
		shown[name] = out
		switch {
		case args[0] == "print-config":
			require.NoError(t, err)
			require.Contains(t, out, "[REDACTED]")
			require.Contains(t, out, "oauthbearer_client_credentials")
		case len(args) > 3:
			require.Error(t, err, name)
			require.Contains(t, out, "auth::sasl", name)
		}
	}

	keyText := strings.Split(key, "\n")[1]
	for where, text := range shown {
		text = html.UnescapeString(text)
		for name, secret := range map[string]string{"a secret": mark, "the key": keyText[:40]} {
			if at := strings.Index(text, secret); at >= 0 {
				assert.Fail(t, name+" is shown", "in %s: %s", where, text[max(at-200, 0):min(at+40, len(text))])
			}
		}
	}
}

// refusingKafka knows every mechanism and refuses everybody, and says why.
func refusingKafka(t *testing.T) string {
	t.Helper()
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("PLAIN", "a", "b"))
	require.NoError(t, err)
	t.Cleanup(k.Close)
	k.ControlKey(int16(kmsg.SASLHandshake), func(r kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		r.(*kmsg.SASLHandshakeRequest).Mechanism = "PLAIN"
		return nil, nil, false
	})
	k.ControlKey(int16(kmsg.SASLAuthenticate), func(r kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		resp := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
		resp.ErrorMessage = new("who is that?")
		return resp, nil, true
	})
	return k.ListenAddrs()[0]
}

// crawl reads the zPages and what they link to.
func crawl(t *testing.T, base string, into map[string]string) {
	t.Helper()
	link := regexp.MustCompile(`href="?([^" >]+)`)
	todo := []string{"/debug/servicez", "/debug/pipelinez", "/debug/extensionz", "/debug/featurez", "/debug/tracez"}
	for len(todo) > 0 && len(into) < 300 {
		path := todo[0]
		todo = todo[1:]
		if _, done := into[path]; done {
			continue
		}
		res, err := http.Get(base + path)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, res.Body.Close())
		require.NoError(t, err)
		into[path] = string(body)
		for _, m := range link.FindAllStringSubmatch(string(body), -1) {
			to := html.UnescapeString(m[1])
			if !strings.HasPrefix(to, "/") && !strings.Contains(to, ":") {
				to = "/debug/" + to
			}
			if strings.HasPrefix(to, "/debug/") {
				todo = append(todo, to)
			}
		}
	}
}

// certificate returns a self-signed certificate and its key, PEM.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	require.NoError(t, err)
	pk, err := x509.MarshalPKCS8PrivateKey(k)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pk}))
}
