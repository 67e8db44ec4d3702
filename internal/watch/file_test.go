package watch_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/vmusage/otelcol-vmusage/internal/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// told is what a watch said, in order.
type told struct {
	mu   sync.Mutex
	said []string
}

func (t *told) say(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.said = append(t.said, text)
}

// after returns what was said within d.
func (t *told) after(d time.Duration) []string {
	time.Sleep(d)
	synctest.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	defer func() { t.said = nil }()
	return t.said
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write := func(s string) {
		require.NoError(t, os.WriteFile(path+".new", []byte(s), 0o600))
		require.NoError(t, os.Rename(path+".new", path))
	}
	write("first")
	synctest.Test(t, func(t *testing.T) {
		var got told
		f := watch.File{
			Path: path, Interval: time.Second, MaxBytes: 10,
			Take: func(content []byte) error {
				if strings.Contains(string(content), "bad") {
					return errors.New("it is bad")
				}
				got.say(string(content))
				return nil
			},
			Failed:    func(err error) { got.say("failed: " + err.Error()) },
			Confirmed: func() { got.say("same") },
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); f.Run(ctx) }()

		assert.Equal(t, []string{"first"}, got.after(0), "what is there is taken at once")
		assert.Equal(t, []string{"same", "same"}, got.after(2*time.Second))
		write("bad")
		assert.Equal(t, []string{"failed: " + path + ": it is bad"}, got.after(9*time.Second), "an error is told once")
		write("first")
		assert.Equal(t, []string{"first"}, got.after(2*time.Second), "and taken again, though it was before")
		write(strings.Repeat("x", 11))
		assert.Equal(t, []string{"failed: " + path + ": the document has more than 10 bytes"}, got.after(2*time.Second))
		write("second")
		assert.Empty(t, got.after(time.Second), "it may still be written")
		assert.Equal(t, []string{"second"}, got.after(time.Second))
		require.NoError(t, os.Remove(path))
		assert.Equal(t, []string{"failed: " + path + ": no such file or directory"}, got.after(9*time.Second))
		cancel()
		<-done
	})
}
