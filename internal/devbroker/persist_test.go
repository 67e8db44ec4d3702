package devbroker

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestRecordsAndTopicsSurviveAStop(t *testing.T) {
	for _, fsync := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "made", "on", "the", "way")
		o := Options{DataDir: dir, Fsync: fsync, Topics: []Topic{{"events", 3}, {"letters", 1}}}

		b := start(t, o)
		produce(t, b.Addr(), "events", "a", "b")
		require.NoError(t, b.Close())
		require.NoError(t, b.Close(), "twice is fine")

		o.Topics = []Topic{{"events", 7}, {"later", 2}}
		b = start(t, o)
		assert.Equal(t, []Topic{{"events", 3}, {"later", 2}}, b.Topics(), "kept as it was, created")
		assert.NotNil(t, b.Cluster().TopicInfo("letters"), "kept though not asked for")
		produce(t, b.Addr(), "events", "c")
		require.NoError(t, b.Close())

		b = start(t, o)
		assert.Equal(t, []string{"a", "b", "c"}, consume(t, b, "events", 3))
		require.NoError(t, b.Close())
	}
}

func TestAcknowledgedRecordsSurviveAKill(t *testing.T) {
	dir := t.TempDir()
	want := make([]string, 0, 3)
	for _, v := range []string{"first", "second", "third"} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), asBroker+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		addr, err := bufio.NewReader(out).ReadString('\n')
		require.NoError(t, err)

		produce(t, strings.TrimSpace(addr), "usage_events", v)
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
		want = append(want, v)
	}

	b := start(t, Options{DataDir: dir, Topics: DefaultTopics()})
	assert.Equal(t, want, consume(t, b, "usage_events", len(want)))
	assert.Equal(t, DefaultTopics(), b.Topics())
}

// A batch that could not be written must not be acknowledged, and neither must
// anything after it until the broker is started again.
func TestAFailedWriteIsNeverAcknowledged(t *testing.T) {
	dir := t.TempDir()
	o := Options{DataDir: dir, Topics: []Topic{{"events", 1}}}
	b := start(t, o)
	produce(t, b.Addr(), "events", "stored")

	// A broker that starts has no file open until the first batch, and then
	// finds that the directory is none.
	require.NoError(t, b.Close())
	part := filepath.Join(dir, "partitions", "events-0")
	b = start(t, o)
	require.NoError(t, os.Rename(part, part+".away"))
	require.NoError(t, os.WriteFile(part, nil, 0o600))

	c := client(t, b.Addr(), kgo.DefaultProduceTopic("events"))
	lost := &kgo.Record{Key: []byte("vm"), Value: []byte("lost?"), Headers: []kgo.RecordHeader{{Key: "event-id", Value: []byte("lost?")}}}
	require.Error(t, c.ProduceSync(t.Context(), lost).FirstErr())
	<-b.Failed()
	require.ErrorIs(t, b.Err(), ErrStorage)
	require.ErrorContains(t, b.Err(), "events-0")

	// There is room again, and yet it takes nothing: a retry of what failed
	// could not be told from a repeat.
	require.NoError(t, os.Remove(part))
	require.NoError(t, os.Rename(part+".away", part))
	plain := client(t, b.Addr(), kgo.DefaultProduceTopic("events"), kgo.DisableIdempotentWrite(), kgo.RecordRetries(3))
	require.Error(t, plain.ProduceSync(t.Context(), kgo.StringRecord("other")).FirstErr())
	assert.Equal(t, []string{"stored"}, consume(t, b, "events", 1), "what it has is still served")

	require.NoError(t, b.Close())
	assert.NoFileExists(t, filepath.Join(dir, "seq_windows.json"))
	o.Listen = b.Addr()
	b = start(t, o)
	require.NoError(t, c.ProduceSync(t.Context(), lost).FirstErr())
	assert.Equal(t, []string{"stored", "lost?"}, consume(t, b, "events", 2))
}
