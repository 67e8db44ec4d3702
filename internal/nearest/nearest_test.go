package nearest

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestUnknown(t *testing.T) {
	known := []string{"url", "event_types", "filters", "per"}
	for name, want := range map[string]string{
		"ulr": "url", "event_type": "event_types", "eventTypes": "event_types", "filter": "filters",
		"": "", "payload": "", "xyz": "", "event": "",
	} {
		detail, meant := Unknown(name, known)
		assert.Equal(t, want, meant, name)
		if want != "" {
			assert.Equal(t, "is not known: do you mean "+want+"?", detail)
		} else {
			assert.Equal(t, "is not known: there are url, event_types, filters, per", detail)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"a", "a", 0},
		{"kitten", "sitting", 3},
		{"flaw", "lawn", 2},
		{"", "abc", 3},
		{"abc", "", 3},
	} {
		assert.Equal(t, tt.want, distance(tt.a, tt.b, 10), "%q %q", tt.a, tt.b)
		assert.Equal(t, tt.want, distance(tt.b, tt.a, 10), "%q %q", tt.b, tt.a)
	}
	assert.Equal(t, 2, distance("a", "abcdef", 2), "far apart is not counted")
}
