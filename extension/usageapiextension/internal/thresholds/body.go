package thresholds

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/access"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

// MaxBody is how large a rule is at most, in bytes.
const MaxBody = 64 << 10

// body is a JSON object that is to be a rule.
type body struct {
	text  []byte // begins with {
	hasID bool
}

// setID puts an id into an object that has none, on its first line.
func (b *body) setID(id string) {
	quoted, _ := json.Marshal(id) // a text: it cannot fail
	sep := ","
	if strings.TrimSpace(string(b.text[1:len(b.text)-1])) == "" {
		sep = ""
	}
	b.text = fmt.Appendf(nil, `{"id":%s%s%s`, quoted, sep, b.text[1:])
	b.hasID = true
}

// read reads the body of a request. It must say that it is JSON: a page in a browser
// cannot send that to another host without being asked first.
func read(w http.ResponseWriter, r *http.Request) (*body, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, problem.New(http.StatusUnsupportedMediaType, "the body must be a rule in JSON: set Content-Type to application/json").
			With("Accept-Post", "application/json")
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
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
		return nil, problem.New(http.StatusBadRequest, `the body must be one rule, such as {"resource":"cpu","type":"percentage","warning":80}`)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(text, &keys); err != nil { // it is a valid object
		return nil, err
	}
	_, hasID := keys["id"]
	return &body{text, hasID}, nil
}

// syntaxAt says where JSON stops to be some.
func syntaxAt(text []byte) string {
	err, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(text, new(any)))
	if !ok {
		return ""
	}
	return fmt.Sprintf(": %s, in byte %d", err.Error(), err.Offset)
}

// rule returns the rule that a body is, if who asks may write it.
func (a *API) rule(p *access.Principal, b *body) (*threshold.Rule, error) {
	rules, err := threshold.Parse([]byte("["+string(b.text)+"]"), a.Options)
	if doc, ok := errors.AsType[*threshold.DocumentError](err); ok {
		problems := make([]problem.Invalid, 0, len(doc.Problems))
		for i := range doc.Problems {
			problems = append(problems, told(&doc.Problems[i]))
		}
		return nil, invalid(problems...)
	}
	if err != nil {
		return nil, err
	}
	if len(rules) != 1 { // one object is one rule
		return nil, fmt.Errorf("a body is %d rules", len(rules))
	}
	return rules[0], a.confine(p, rules[0])
}

// invalid is the problem of a body that is JSON and no rule.
func invalid(where ...problem.Invalid) *problem.Error {
	e := problem.New(http.StatusUnprocessableEntity, "the rule is not valid")
	e.Invalid = where
	return e
}

// told is what the client is told of a problem of a rule.
func told(p *threshold.Problem) problem.Invalid {
	detail := p.Detail
	if p.Value != "" {
		detail = "is " + p.Value + ": " + detail
	}
	return problem.Invalid{Pointer: pointer(p.Key), Detail: detail}
}

// pointer returns a key of a rule, as in selector.labels.tier or channels[2], as a JSON
// pointer in a fragment. What comes after labels and attributes is one key.
func pointer(key string) string {
	var tokens []string
	for rest := key; rest != ""; {
		var token string
		token, rest, _ = strings.Cut(rest, ".")
		name, index, isIndex := strings.Cut(token, "[")
		tokens = append(tokens, name)
		if isIndex {
			tokens = append(tokens, strings.TrimSuffix(index, "]"))
		}
		if rest != "" && (name == "labels" || name == "attributes") {
			tokens = append(tokens, rest)
			break
		}
	}
	for i, t := range tokens {
		tokens[i] = escape(t)
	}
	return strings.Join(append([]string{"#"}, tokens...), "/")
}

// escape escapes a token by RFC 6901: first as a pointer, then as a fragment, of which
// it keeps what RFC 3986 calls unreserved.
func escape(token string) string {
	token = strings.NewReplacer("~", "~0", "/", "~1").Replace(token)
	var b strings.Builder
	for i := range len(token) {
		c := token[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
