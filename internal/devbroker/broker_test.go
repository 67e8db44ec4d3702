package devbroker

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMemoryBroker(t *testing.T) {
	b := start(t, Options{Topics: []Topic{{"events", 2}}})
	assert.True(t, strings.HasPrefix(b.Addr(), "127.0.0.1:"))
	produce(t, b.Addr(), "events", "a")
	assert.Equal(t, []string{"a"}, consume(t, b, "events", 1))
	require.NoError(t, b.Err())
}

func TestStartRefuses(t *testing.T) {
	taken := start(t, Options{DataDir: t.TempDir()})
	corrupt := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(corrupt, "meta.json"), []byte("{"), 0o600))
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))

	for name, tc := range map[string]struct {
		options Options
		is      error
		says    []string
	}{
		"a taken address":         {Options{Listen: taken.Addr()}, syscall.EADDRINUSE, []string{taken.Addr()}},
		"a directory in use":      {Options{DataDir: taken.dataDir}, ErrDirInUse, []string{taken.dataDir}},
		"all addresses":           {Options{Listen: "0.0.0.0:0"}, ErrRemote, []string{"0.0.0.0:0"}},
		"all addresses, short":    {Options{Listen: ":0"}, ErrRemote, nil},
		"all addresses, IPv6":     {Options{Listen: "[::]:0"}, ErrRemote, nil},
		"an address to nowhere":   {Options{Listen: "0.0.0.0:0", AllowRemote: true}, ErrAdvertise, nil},
		"a bad advertised one":    {Options{Advertise: "host"}, nil, []string{`"host"`, "host:port"}},
		"no port":                 {Options{Listen: "127.0.0.1"}, nil, []string{`"127.0.0.1"`, "host:port"}},
		"an impossible port":      {Options{Listen: "127.0.0.1:65536"}, nil, []string{`"65536"`, "65535"}},
		"a corrupt directory":     {Options{DataDir: corrupt}, nil, []string{corrupt, "meta.json"}},
		"a file as directory":     {Options{DataDir: file}, nil, []string{file}},
		"names that Kafka mixes":  {Options{Topics: []Topic{{"a.b", 1}, {"a_b", 1}}}, nil, []string{"a_b:1"}},
		"remote, with a bad host": {Options{Listen: "host.invalid:0", AllowRemote: true}, nil, []string{"host.invalid:0"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Start(t.Context(), tc.options)
			require.Error(t, err)
			if tc.is != nil {
				require.ErrorIs(t, err, tc.is)
			}
			for _, s := range tc.says {
				assert.ErrorContains(t, err, s)
			}
		})
	}
}

// What a refused start has taken, it gives back.
func TestARefusedStartLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := free.Addr().String()
	require.NoError(t, free.Close())

	_, err = Start(t.Context(), Options{Listen: addr, DataDir: dir, Topics: []Topic{{"a.b", 1}, {"a_b", 1}}})
	require.Error(t, err)
	b := start(t, Options{Listen: addr, DataDir: dir, Topics: []Topic{{"c", 1}}})
	assert.Equal(t, addr, b.Addr())
}

func TestAdvertisedAddress(t *testing.T) {
	b := start(t, Options{Listen: "0.0.0.0:0", AllowRemote: true, Advertise: "localhost:19092"})
	assert.Equal(t, "localhost:19092", b.Addr())
}

func TestParseTopic(t *testing.T) {
	for in, want := range map[string]Topic{
		"a":             {"a", 1},
		"usage_events":  {"usage_events", 1},
		"a.b-C_9:3":     {"a.b-C_9", 3},
		"limits:1000":   {"limits", 1000},
		"usage_dlq:001": {"usage_dlq", 1},
	} {
		got, err := ParseTopic(in)
		require.NoError(t, err, in)
		assert.Equal(t, want, got)
	}
	for _, in := range []string{"", ":", ":3", "a:", "a:0", "a:-1", "a:1001", "a:x", "a:1:2", "a b", "ä", "a/b", ".", "..", "a\n", strings.Repeat("a", 250)} {
		_, err := ParseTopic(in)
		require.Error(t, err, "%q", in)
		assert.Contains(t, err.Error(), "topic ")
	}
}

func FuzzParseTopic(f *testing.F) {
	for _, s := range []string{"a", "a:3", "usage_events:3", ":", "a:1:2", "..:1", "a\x00:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		topic, err := ParseTopic(s)
		if err != nil {
			return
		}
		again, err := ParseTopic(topic.String())
		if err != nil || again != topic {
			t.Fatalf("%q is %v, and that is %v, %v", s, topic, again, err)
		}
	})
}
