package thresholds

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/access"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/resource"
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

// read reads the body of a request.
func read(w http.ResponseWriter, r *http.Request) (*body, error) {
	text, err := resource.Read(w, r, resource.Expect{
		What: "a rule", Example: `{"resource":"cpu","type":"percentage","warning":80}`,
		Types: []string{resource.JSON}, Accept: "Accept-Post", MaxBytes: MaxBody,
	})
	if err != nil {
		return nil, err
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(text, &keys); err != nil { // it is a valid object
		return nil, err
	}
	_, hasID := keys["id"]
	return &body{text, hasID}, nil
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
	return resource.Pointer(tokens...)
}
