package resource

import (
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
)

// Bounds of a page.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
	// MaxPage is after how many bytes nothing more is begun.
	MaxPage = 1 << 20
)

// Paging returns how many items are wanted, and after which one: what [Cursor] was given,
// at most maxAfter bytes.
func Paging(r *http.Request, maxAfter int) (limit int, after string, err error) {
	limit = DefaultLimit
	err = Parameters(r, []string{"limit", "cursor"}, func(name, value string) error {
		if name == "limit" {
			n, err := Limit(value)
			limit = n
			return err
		}
		text, err := base64.RawURLEncoding.DecodeString(value)
		if err != nil || len(text) > maxAfter {
			return problem.BadParameter(name, "must be the next_cursor of an earlier answer")
		}
		after = string(text)
		return nil
	})
	return limit, after, err
}

// Cursor returns that of what follows an item.
func Cursor(last string) *string { return new(base64.RawURLEncoding.EncodeToString([]byte(last))) }

// Limit returns the value of the parameter of that name.
func Limit(value string) (int, error) {
	limit, err := strconv.Atoi(value)
	if err != nil || limit < 1 || limit > MaxLimit {
		return 0, problem.BadParameter("limit", "must be 1 to %d", MaxLimit)
	}
	return limit, nil
}

// Parameters calls take for each parameter of the query. Each has a known name, and is there once.
func Parameters(r *http.Request, known []string, take func(name, value string) error) error {
	query := r.URL.Query()
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if n := len(query[name]); n != 1 {
			return problem.BadParameter(name, "is there %d times", n)
		}
		if !slices.Contains(known, name) {
			return problem.BadParameter(name, "is not known: there are %s", and(known))
		}
	}
	for _, name := range known {
		if values, ok := query[name]; ok {
			if err := take(name, values[0]); err != nil {
				return err
			}
		}
	}
	return nil
}

// and lists names.
func and(names []string) string {
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
