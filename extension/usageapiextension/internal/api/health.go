package api

import (
	"encoding/json"
	"net/http"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/vitals"
)

// health is for who only wants to know whether metering works: it tells nobody why it
// does not.
func (a *API) health(w http.ResponseWriter, r *http.Request) error {
	if _, err := parse(r, 0); err != nil {
		return err
	}
	status, text := http.StatusOK, "healthy\n"
	if s := a.settings.Vitals.Report().Status; s != vitals.OK {
		status, text = http.StatusServiceUnavailable, string(s)+"\n"
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
	return nil
}

func (a *API) healthStatus(w http.ResponseWriter, r *http.Request) error {
	if _, err := parse(r, 0); err != nil {
		return err
	}
	body, err := json.Marshal(a.settings.Vitals.Report())
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", jsonType)
	h.Set("Cache-Control", "no-store") // it changes by the second
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(append(body, '\n'))
	return nil
}

func (a *API) document(w http.ResponseWriter, r *http.Request) error {
	if _, err := parse(r, 0); err != nil {
		return err
	}
	a.reuse.respond(w, r, jsonType, a.settings.Document.JSON)
	return nil
}

// docs is a page that needs nothing from elsewhere, and may load nothing.
func (a *API) docs(w http.ResponseWriter, r *http.Request) error {
	if _, err := parse(r, 0); err != nil {
		return err
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	a.reuse.respond(w, r, "text/html; charset=utf-8", a.settings.Document.HTML)
	return nil
}
