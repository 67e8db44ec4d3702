package resource

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
)

// JSON is the media type of JSON.
const JSON = "application/json"

// Expect is what the body of a request has to be.
type Expect struct {
	What    string   // such as: a rule
	Example string   // of it
	Types   []string // media types that it may have
	// Accept is the header that tells them: Accept-Post or Accept-Patch.
	Accept   string
	MaxBytes int64
}

// Read returns the body of a request, which is one JSON object, without space around it. The request must
// say that it is JSON: a page in a browser cannot send that to another host without being asked first.
func Read(w http.ResponseWriter, r *http.Request, e Expect) ([]byte, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || !slices.Contains(e.Types, kind) {
		return nil, problem.New(http.StatusUnsupportedMediaType, "the body must be %s in JSON: set Content-Type to %s", e.What, strings.Join(e.Types, " or ")).
			With(e.Accept, strings.Join(e.Types, ", "))
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, e.MaxBytes))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, err
		}
		return nil, problem.New(http.StatusBadRequest, "the body cannot be read").Because(err)
	}
	text = []byte(strings.Trim(string(text), " \t\r\n"))
	if !utf8.Valid(text) || !json.Valid(text) {
		return nil, problem.New(http.StatusBadRequest, "the body is no JSON%s", syntaxAt(text))
	}
	if text[0] != '{' {
		return nil, problem.New(http.StatusBadRequest, "the body must be %s, such as %s", e.What, e.Example)
	}
	return text, nil
}

// syntaxAt says where JSON stops to be some.
func syntaxAt(text []byte) string {
	err, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(text, new(any)))
	if !ok {
		return ""
	}
	return fmt.Sprintf(": %s, in byte %d", err.Error(), err.Offset)
}

// Pointer returns a JSON pointer as a fragment (RFC 6901, 6).
func Pointer(tokens ...string) string {
	var b strings.Builder
	b.WriteByte('#')
	for _, t := range tokens {
		b.WriteByte('/')
		escape(&b, t)
	}
	return b.String()
}

// escape escapes a token: first as a pointer, then as a fragment, of which it keeps what
// RFC 3986 calls unreserved.
func escape(b *strings.Builder, token string) {
	token = strings.NewReplacer("~", "~0", "/", "~1").Replace(token)
	for i := range len(token) {
		c := token[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(b, "%%%02X", c)
		}
	}
}
