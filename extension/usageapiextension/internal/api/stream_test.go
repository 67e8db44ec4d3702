package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/api"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store/storetest"
)

// events reads a stream.
type events struct {
	res    *http.Response
	lines  *bufio.Scanner
	cancel context.CancelFunc
	id     string
}

type event struct{ name, data string }

func (w *world) follow(t testing.TB, user, path, lastID string) *events {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.server.URL+path, http.NoBody)
	require.NoError(t, err)
	r.Header.Set("X-User", user)
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	res, err := w.server.Client().Do(r)
	require.NoError(t, err)
	e := &events{res: res, lines: bufio.NewScanner(res.Body), cancel: cancel}
	t.Cleanup(e.leave)
	return e
}

func (e *events) leave() {
	e.cancel()
	e.res.Body.Close()
}

// next returns the next event.
func (e *events) next(t testing.TB) (ev event) {
	t.Helper()
	for e.lines.Scan() {
		key, value, _ := strings.Cut(e.lines.Text(), ": ")
		switch key {
		case "event":
			ev.name = value
		case "data":
			ev.data = value
		case "id":
			e.id = value
		case "":
			if ev.name != "" {
				return ev
			}
		}
	}
	t.Fatalf("the stream ended: %v", e.lines.Err())
	return ev
}

// upTo returns the ids of the instances that are told of until all is told, and the
// other events.
func (e *events) upTo(t testing.TB) (ids, others []string) {
	t.Helper()
	for {
		ev := e.next(t)
		var i struct{ ID string }
		require.NoError(t, json.Unmarshal([]byte(ev.data), &i))
		switch ev.name {
		case "current":
			return ids, others
		case "instance":
			ids = append(ids, i.ID)
		default:
			others = append(others, ev.name+" "+i.ID)
		}
	}
}

func quick(clients int) api.Stream {
	return api.Stream{MaxClients: clients, Interval: time.Millisecond, WriteTimeout: 10 * time.Second}
}

func TestStream(t *testing.T) {
	w := open(t, quick(2))
	for i := range 3 {
		w.store.Consume(storetest.Machine(i).Levels(1))
	}
	e := w.follow(t, "admin", "/api/v1/usage/stream?fields=cpu&name=web-*", "")
	assert.Equal(t, "text/event-stream", e.res.Header.Get("Content-Type"))
	ids, _ := e.upTo(t)
	assert.Equal(t, []string{"vm-00000", "vm-00001", "vm-00002"}, ids, "at first all")

	w.store.Consume(storetest.Machine(1).Levels(2))
	ids, _ = e.upTo(t)
	assert.Equal(t, []string{"vm-00001"}, ids, "then what changed")

	last := storetest.Machine(2).Period(1, 0, 3)
	last.Final = true
	w.store.Consume(period(last))
	ids, others := e.upTo(t)
	assert.Empty(t, ids)
	assert.Equal(t, []string{"gone vm-00002"}, others)

	// Whoever comes back gets what happened meanwhile.
	e.leave()
	assert.Equal(t, api.EndClient, <-w.ended)
	w.store.Consume(storetest.Machine(0).Levels(4))
	e = w.follow(t, "admin", "/api/v1/usage/stream", e.id)
	ids, _ = e.upTo(t)
	assert.Equal(t, []string{"vm-00000"}, ids)
	// And everything where it was another process.
	e = w.follow(t, "admin", "/api/v1/usage/stream", "x-7")
	ids, _ = e.upTo(t)
	assert.Equal(t, []string{"vm-00000", "vm-00001"}, ids)

	status, body := w.get(t, "admin", "/api/v1/usage/stream")
	assert.Equal(t, http.StatusServiceUnavailable, status, body)
	assert.Equal(t, api.EndFull, <-w.ended)
	assert.Equal(t, 2, w.api.Clients())

	w.stop(api.ErrShutdown)
	assert.Equal(t, api.EndShutdown, <-w.ended)
	assert.Equal(t, api.EndShutdown, <-w.ended)
}

// Who follows by too many connections keeps nobody else from following.
func TestStreamsOfOnePrincipal(t *testing.T) {
	stream := quick(4)
	stream.MaxClientsPerPrincipal = 2
	w := open(t, stream)
	const path = "/api/v1/usage/stream"
	first := w.follow(t, "user-1", path, "")
	first.upTo(t)
	w.follow(t, "user-1", path, "").upTo(t)
	status, body := w.get(t, "user-1", path)
	assert.Equal(t, http.StatusTooManyRequests, status, body)
	assert.Equal(t, api.EndFullPrincipal, <-w.ended)
	w.follow(t, "user-2", path, "").upTo(t)
	assert.Equal(t, 3, w.api.Clients())
	first.leave()
	assert.Equal(t, api.EndClient, <-w.ended)
	w.follow(t, "user-1", path, "").upTo(t)
	// Whom nobody knows only the other limit counts.
	w.follow(t, "", path, "").upTo(t)
	status, _ = w.get(t, "", path)
	assert.Equal(t, http.StatusServiceUnavailable, status)
	assert.Equal(t, api.EndFull, <-w.ended)
}

func TestAStreamShowsOnlyWhatIsSeen(t *testing.T) {
	w := open(t, quick(1))
	w.store.Consume(storetest.Machine(1).Levels(1))
	w.store.Consume(storetest.Machine(2).Levels(1))
	e := w.follow(t, "user-1", "/api/v1/usage/stream", "")
	ids, _ := e.upTo(t)
	assert.Equal(t, []string{"vm-00001"}, ids)
	last := storetest.Machine(2).Period(1, 0, 3)
	last.Final = true
	w.store.Consume(period(last))
	w.store.Consume(storetest.Machine(1).Levels(3))
	for {
		ids, others := e.upTo(t)
		assert.Empty(t, others, "nor that it went")
		if len(ids) > 0 {
			break
		}
	}
}

// More went than is remembered: the client begins anew.
func TestAStreamThatIsFarBehind(t *testing.T) {
	w := open(t, quick(1))
	w.store.Consume(storetest.Machine(0).Levels(1))
	e := w.follow(t, "admin", "/api/v1/usage/stream", "")
	e.upTo(t)
	e.leave()
	<-w.ended
	for i := range 1100 {
		m := storetest.Machine(i + 1)
		w.store.Consume(m.Levels(1))
		last := m.Period(1, 0, 2)
		last.Final = true
		w.store.Consume(period(last))
	}
	e = w.follow(t, "admin", "/api/v1/usage/stream", e.id)
	ids, others := e.upTo(t)
	assert.Equal(t, []string{"reset "}, others)
	assert.Equal(t, []string{"vm-00000"}, ids)
}

// Of a hundred clients half never read. They are cut off, and hold up nobody.
func TestClientsThatDoNotRead(t *testing.T) {
	const clients, machines = 100, 100
	stream := quick(clients)
	stream.WriteTimeout = time.Second
	w := open(t, stream)
	for i := range machines {
		w.store.Consume(storetest.Machine(i).Levels(1))
	}
	for range clients / 2 {
		c, err := net.Dial("tcp", w.server.Listener.Addr().String())
		require.NoError(t, err)
		require.NoError(t, c.(*net.TCPConn).SetReadBuffer(4<<10))
		t.Cleanup(func() { c.Close() })
		_, err = io.WriteString(c, "GET /api/v1/usage/stream HTTP/1.1\r\nHost: localhost\r\nX-User: admin\r\n\r\n")
		require.NoError(t, err)
	}
	var readers []*events
	for range clients / 2 {
		e := w.follow(t, "admin", "/api/v1/usage/stream?fields=at&user=user-0", "")
		e.upTo(t)
		readers = append(readers, e)
	}
	// Changes go on until all that do not read are cut off; those that do get each.
	change := func(at int64) {
		for i := range machines {
			w.store.Consume(storetest.Machine(i).Levels(at))
		}
		for _, e := range readers {
			for ids := []string(nil); len(ids) == 0; {
				ids, _ = e.upTo(t)
			}
		}
	}
	at := int64(2)
	for slow := 0; slow < clients/2; at++ {
		change(at)
		for len(w.ended) > 0 {
			assert.Equal(t, api.EndSlow, <-w.ended)
			slow++
		}
	}
	change(at)
	assert.Empty(t, w.ended)
}
