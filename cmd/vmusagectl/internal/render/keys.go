package render

import (
	"strings"
	"time"

	"github.com/vmusage/otelcol-vmusage/internal/apikey"
)

// Keys returns a table of API keys. It has nothing of their secrets.
func Keys(keys []apikey.Key, now time.Time) string {
	t := table{left: 5}
	t.row("id", "name", "sees", "state", "expires", "scopes")
	for i := range keys {
		k := &keys[i]
		expires := "never"
		if !k.Expires.IsZero() {
			expires = k.Expires.UTC().Format(time.DateOnly)
		}
		t.row(k.ID, k.Name, k.For(), string(k.StateAt(now)), expires, strings.Join(k.Scopes, " "))
	}
	var b strings.Builder
	for line := range strings.Lines(t.String()) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return b.String()
}
