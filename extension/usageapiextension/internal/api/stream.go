package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/query"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store"
)

// An End is why a stream ended.
type End string

// The ends.
const (
	EndClient End = "client" // the client left
	EndSlow   End = "slow"   // the client did not read
	EndFull   End = "full"   // there are too many: it never began
	// EndFullPrincipal is that there are too many of the same principal.
	EndFullPrincipal End = "full_principal"
	EndShutdown      End = "shutdown" // of the collector
	EndRevoked       End = "revoked"  // the client may not follow any more
)

const (
	// heartbeat is after how long without a change something is written, so that both
	// ends and what is in between see that the other is there.
	heartbeat = 15 * time.Second
	// portion is how much is written at once.
	portion = 64 << 10
)

// errRevoked is that the client may not follow any more.
var errRevoked = errors.New("revoked")

// ErrShutdown is why the context of a request ends when the collector does.
var ErrShutdown = errors.New("the collector shuts down")

// stream tells of changes as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).
// At first it tells of everything. A client costs the same however much changes: what
// is remembered of it is the version up to which it was told, and what changes
// several times in between is told once. A client that does not read for too long is
// cut off, and may go on with Last-Event-ID.
func (a *API) stream(w http.ResponseWriter, r *http.Request) error {
	q, err := parse(r, query.Filters|query.Selected)
	if err != nil {
		return err
	}
	principal := ""
	if of := a.settings.Principal; of != nil {
		principal = of(r.Context())
	}
	end, err := a.clients.enter(principal)
	if err != nil {
		a.settings.Ended(r.Context(), end)
		return err
	}
	defer func() {
		a.clients.leave(principal) // before it is told that there is room
		if end != "" {
			a.settings.Ended(context.WithoutCancel(r.Context()), end)
		}
	}()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Accel-Buffering", "no") // for proxies that would keep events back
	f := &follower{api: a, query: &q, control: http.NewResponseController(w), w: w, r: r}
	f.resume(r.Header.Get("Last-Event-ID"))
	// The limit of reading a request would end the stream with it.
	if err := f.control.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	end = f.run()
	return nil
}

// follower is one client that follows.
type follower struct {
	api     *API
	query   *query.Query
	control *http.ResponseController
	w       http.ResponseWriter
	r       *http.Request

	told uint64 // the version up to which it was told
	buf  []byte
}

// resume goes on where a stream of the same process ended.
func (f *follower) resume(id string) {
	process, version, _ := strings.Cut(id, "-")
	if v, err := strconv.ParseUint(version, 10, 64); err == nil && process == f.api.process {
		f.told = v
	}
}

func (f *follower) run() End {
	beat := time.NewTimer(heartbeat)
	defer beat.Stop()
	f.buf = append(f.buf, ": usage of instances; each event is the newest state of one\n\n"...)
	for {
		version, next := f.api.settings.Store.Changes()
		if err := f.tell(version); err != nil {
			return f.end(err)
		}
		beat.Reset(heartbeat)
		select {
		case <-next:
		case <-beat.C:
			f.buf = append(f.buf, ": still here\n\n"...)
		case <-f.r.Context().Done():
			return f.end(f.r.Context().Err())
		}
		// Whatever else changes now is told in one go.
		pause := time.NewTimer(f.api.settings.Stream.Interval)
		select {
		case <-pause.C:
		case <-f.r.Context().Done():
			pause.Stop()
			return f.end(f.r.Context().Err())
		}
	}
}

// tell writes what changed since, up to a version; what changes while it writes may
// be told, and is told again.
func (f *follower) tell(version uint64) error {
	if allowed := f.api.settings.Allowed; allowed != nil && !allowed(f.r.Context()) {
		return errRevoked
	}
	sees := f.api.settings.Viewer(f.r.Context())
	if f.told > 0 {
		f.gone(sees)
	}
	for _, e := range f.api.settings.Store.All() {
		n := len(f.buf)
		f.buf = append(f.buf, "event: instance\ndata: "...)
		var ok bool
		f.buf, ok = appendEntry(f.buf, e, f.query.Fields, sees, func(d *store.Data) bool {
			return d.Version > f.told && f.query.Matches(d)
		})
		if !ok {
			f.buf = f.buf[:n]
			continue
		}
		f.buf = append(f.buf, "\n\n"...)
		if len(f.buf) >= portion {
			if err := f.flush(); err != nil {
				return err
			}
		}
	}
	// Only now is the client up to date: an id before it would lose what comes after.
	if len(f.buf) > 0 || f.told == 0 {
		f.buf = fmt.Appendf(f.buf, "id: %s-%d\nevent: current\ndata: {}\n\n", f.api.process, version)
	}
	f.told = version
	return f.flush()
}

// gone tells of instances that went. Where it is not known any more which ones, the client is to
// begin anew.
func (f *follower) gone(sees query.Viewer) {
	gone, complete := f.api.settings.Store.GoneSince(f.told)
	if !complete {
		f.buf = append(f.buf, "event: reset\ndata: {}\n\n"...)
		f.told = 0
		return
	}
	for _, g := range gone {
		if !sees(g.UserID, g.OrgID) {
			continue
		}
		id, err := json.Marshal(g.ID)
		if err != nil { // of a text
			continue
		}
		f.buf = fmt.Appendf(f.buf, "event: gone\ndata: {\"id\":%s}\n\n", id)
	}
}

func (f *follower) flush() error {
	if len(f.buf) == 0 {
		return nil
	}
	deadline := time.Now().Add(f.api.settings.Stream.WriteTimeout)
	if err := f.control.SetWriteDeadline(deadline); err != nil {
		return err
	}
	_, err := f.w.Write(f.buf)
	f.buf = f.buf[:0]
	if err != nil {
		return err
	}
	return f.control.Flush()
}

// end says why a stream ended.
func (f *follower) end(err error) End {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return EndSlow // before the context: it is canceled then, too
	case errors.Is(err, errRevoked):
		return EndRevoked
	case errors.Is(context.Cause(f.r.Context()), ErrShutdown):
		return EndShutdown
	default:
		return EndClient
	}
}
