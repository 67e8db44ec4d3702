package resource

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// How long an answer may be kept by who got it.
const (
	Revalidated = "private, no-cache" // and asked for again each time
	Unkept      = "no-store"          // it has a secret
)

// Write answers with a thing, as JSON.
func Write(w http.ResponseWriter, status int, tag, cache string, thing any) error {
	body, err := json.Marshal(thing)
	if err != nil {
		return err
	}
	WriteBody(w, status, tag, cache, body)
	return nil
}

// WriteBody answers with JSON.
func WriteBody(w http.ResponseWriter, status int, tag, cache string, body []byte) {
	h := w.Header()
	if tag != "" {
		h.Set("ETag", tag)
	}
	h.Set("Cache-Control", cache)
	h.Set("Content-Type", JSON)
	h.Set("Content-Length", strconv.Itoa(len(body)+1))
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client is gone: there is nobody to tell
}

// NotModified answers that a thing is what the client has, as If-None-Match says, or
// reports that it is not.
func NotModified(w http.ResponseWriter, r *http.Request, tag string) bool {
	if !Matches(r.Header.Values("If-None-Match"), tag, true) {
		return false
	}
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", Revalidated)
	w.WriteHeader(http.StatusNotModified)
	return true
}
