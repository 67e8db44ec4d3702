// Package hooklisten is the receiver of a webhook, for people who look at what comes.
package hooklisten

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/render"
	"github.com/vmusage/otelcol-vmusage/internal/signing"
)

const (
	maxBody = 4 << 20
	// remembered is how many webhook-ids are known, to tell repeats.
	remembered = 10_000
)

// Settings of a [Handler].
type Settings struct {
	Secrets  []signing.Secret
	Unsigned bool // nothing is verified
	Status   int  // of what is genuine
	JSON     bool // bodies as they came
	Color    bool
	Now      func() time.Time

	Show func(text string)                // an event; never called by two at once
	Say  func(format string, args ...any) // what is not one
	// Enough is called after Count events; 0 never.
	Count  int
	Enough func()
}

// A Handler verifies and shows what comes. It is safe for concurrent use.
type Handler struct {
	settings Settings

	mu    sync.Mutex
	seen  map[string]struct{}
	order []string
	shown int
}

// New returns a handler that has seen nothing.
func New(s Settings) *Handler { return &Handler{settings: s, seen: map[string]struct{}{}} }

// ServeHTTP takes a request of any path.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "events come by POST", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		h.settings.Say("a request from %s that cannot be read: %v", r.RemoteAddr, err)
		http.Error(w, "the body cannot be read", http.StatusBadRequest)
		return
	}
	if !h.settings.Unsigned {
		if err := signing.Verify(h.settings.Secrets, r.Header, body, h.settings.Now()); err != nil {
			h.settings.Say("a request from %s that is not genuine: %v", r.RemoteAddr, err)
			http.Error(w, "the signature is not valid", http.StatusUnauthorized)
			return
		}
	}
	w.WriteHeader(h.settings.Status)
	h.show(r.Header, body)
}

func (h *Handler) show(header http.Header, body []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.settings.Count > 0 && h.shown >= h.settings.Count {
		return
	}
	id := header.Get(signing.HeaderID)
	if h.repeated(id) {
		h.settings.Say("%s once more: the same event", render.Printable(id))
	} else if h.settings.JSON {
		h.settings.Show(string(bytes.ReplaceAll(bytes.TrimSpace(body), []byte("\n"), nil)) + "\n")
	} else {
		h.settings.Show(h.text(header, body))
	}
	if h.shown++; h.shown == h.settings.Count {
		h.settings.Enough()
	}
}

// repeated remembers an id and reports whether it was known.
func (h *Handler) repeated(id string) bool {
	if _, known := h.seen[id]; known || id == "" {
		return known
	}
	if len(h.order) >= remembered {
		delete(h.seen, h.order[0])
		h.order = slices.Delete(h.order, 0, 1)
	}
	h.seen[id] = struct{}{}
	h.order = append(h.order, id)
	return false
}

// text is what is shown of an event.
func (h *Handler) text(header http.Header, body []byte) string {
	var envelope struct {
		EventType string          `json:"event_type"`
		Timestamp string          `json:"timestamp"`
		Data      json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return fmt.Sprintf("what is no event: %s\n", render.Printable(string(body)))
	}
	return render.Hook(envelope.EventType, envelope.Timestamp, header.Get(signing.HeaderID), envelope.Data, h.settings.Color)
}
