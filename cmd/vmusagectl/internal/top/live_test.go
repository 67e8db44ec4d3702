package top

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/apiclient"
)

// A rig is a live view in a terminal of the test's own.
type rig struct {
	Live
	typed   chan []byte
	resized chan struct{}
	width   int
	done    chan error
	polls   int
	answer  func(n int) (*Snapshot, error)

	mu    sync.Mutex
	frame string
}

func (r *rig) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frame = strings.ReplaceAll(strings.TrimPrefix(string(p), "\x1b[H"), "\x1b[2K", "")
	return len(p), nil
}

func (r *rig) seen() string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.frame
}

func run(ctx context.Context, answer func(n int) (*Snapshot, error)) *rig {
	r := &rig{typed: make(chan []byte), resized: make(chan struct{}), width: 100, done: make(chan error, 1), answer: answer}
	r.Live = Live{
		Screen: &Screen{Title: "t"}, Interval: 2 * time.Second, Out: r, Typed: r.typed, Resized: r.resized,
		Size: func() (int, int) { return r.width, 12 },
		Poll: func(context.Context) (*Snapshot, error) { r.polls++; return r.answer(r.polls) },
	}
	go func() {
		defer func() {
			if p := recover(); p != nil {
				r.done <- errors.New("panic: " + p.(string))
			}
		}()
		r.done <- r.Run(ctx)
	}()
	return r
}

func TestLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t.Context(), func(n int) (*Snapshot, error) {
			if n == 3 {
				return nil, errors.New("connection refused")
			}
			return fleet(t, n*10), nil
		})
		assert.Contains(t, r.seen(), "7 instances")
		assert.NotContains(t, r.seen(), "47.7Mi", "one answer has no rate")
		time.Sleep(2 * time.Second)
		assert.Contains(t, r.seen(), "47.7Mi")
		time.Sleep(2 * time.Second)
		assert.Contains(t, r.seen(), "as of 2s ago: connection refused")
		assert.Contains(t, r.seen(), "47.7Mi", "what was known stays")
		time.Sleep(time.Second)
		assert.Contains(t, r.seen(), "as of 3s ago")
		time.Sleep(time.Second)
		assert.NotContains(t, r.seen(), "refused")

		r.typed <- []byte("a\x1b")
		r.typed <- []byte("[B")
		lines := strings.Split(r.seen(), "\r\n")
		assert.Len(t, lines, 12)
		assert.True(t, strings.HasPrefix(lines[4], "INSTANCE↑"), lines[4])
		assert.True(t, strings.HasPrefix(lines[5], "db "), "scrolled by one: %s", lines[5])
		r.width = 20
		r.resized <- struct{}{}
		assert.Contains(t, r.seen(), "INSTANCE↑")
		for line := range strings.SplitSeq(r.seen(), "\r\n") {
			assert.LessOrEqual(t, columns(line), 20)
		}
		r.typed <- []byte("q")
		require.NoError(t, <-r.done)
	})
}

func TestLiveEnds(t *testing.T) {
	good := func(int) (*Snapshot, error) { return &Snapshot{}, nil }
	for _, test := range []struct {
		name   string
		answer func(int) (*Snapshot, error)
		end    func(r *rig, cancel func())
		err    string
	}{
		{"told to", good, func(_ *rig, cancel func()) { cancel() }, ""},
		{"the terminal is gone", good, func(r *rig, _ func()) { close(r.typed) }, ""},
		{"the key is revoked", func(int) (*Snapshot, error) { return nil, &apiclient.Error{Status: 401} }, func(*rig, func()) {}, "401"},
		{"a filter is wrong", func(int) (*Snapshot, error) { return nil, &apiclient.Error{Status: 400, Detail: "what"} }, func(*rig, func()) {}, "what"},
		{"a panic of the poll", func(int) (*Snapshot, error) { panic("boom") }, func(*rig, func()) {}, "panic: boom"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				r := run(ctx, test.answer)
				synctest.Wait()
				test.end(r, cancel)
				if err := <-r.done; test.err == "" {
					assert.NoError(t, err)
				} else {
					assert.ErrorContains(t, err, test.err)
				}
			})
		})
	}
}

func TestLiveGoesOn(t *testing.T) {
	for _, status := range []int{408, 429, 500, 503} {
		synctest.Test(t, func(t *testing.T) {
			r := run(t.Context(), func(int) (*Snapshot, error) { return nil, &apiclient.Error{Status: status, RetryAfter: "7"} })
			time.Sleep(5 * time.Second)
			synctest.Wait()
			assert.Equal(t, 3, r.polls)
			r.typed <- []byte{3}
			require.NoError(t, <-r.done)
		})
	}
}
