package apikey

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Bounds of a file.
const (
	// MaxFile is its size in bytes.
	MaxFile = 8 << 20
	// MaxKeys is how many keys it has.
	MaxKeys = 10_000
	// MaxText is how long a name or an owner is, in bytes.
	MaxText = 256

	maxProblems = 20
)

// A Problem is one thing that is wrong with a file.
type Problem struct {
	Line  int    // from 1; 0 where it is not known
	Index int    // of the key, from 0; -1 where it is not about one
	Name  string // of the key; "" where it has none
	Field string // "" where it is about no field
	Value string // what is there, quoted and short; "" where nothing is, or it is not to be shown
	// Detail says what is wrong and what would be right.
	Detail string
}

// Error returns all of it in one line.
func (p Problem) Error() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", p.Line)
	}
	if p.Index >= 0 {
		fmt.Fprintf(&b, "keys[%d]", p.Index)
		if p.Name != "" {
			b.WriteString(" " + short(p.Name))
		}
		b.WriteString(": ")
	}
	if p.Field != "" {
		b.WriteString(p.Field + " ")
		if p.Value != "" {
			b.WriteString("is " + p.Value + ": ")
		}
	}
	return b.String() + p.Detail
}

// Parse reads a file of keys. Where anything is wrong there are no keys, and the
// error has a line for each of the first problems.
func Parse(document []byte) ([]Key, error) {
	r := reader{ids: map[string]int{}}
	if list := r.list(document); list != nil {
		r.keys(list)
	}
	if len(r.problems) == 0 {
		return r.found, nil
	}
	errs := make([]error, 0, len(r.problems)+1)
	for _, p := range r.problems {
		errs = append(errs, p)
	}
	if r.more > 0 {
		errs = append(errs, fmt.Errorf("and %d more problems", r.more))
	}
	return nil, errors.Join(errs...)
}

type reader struct {
	found    []Key
	ids      map[string]int // index by id
	problems []Problem
	more     int
}

func (r *reader) add(p Problem) {
	if len(r.problems) == maxProblems {
		r.more++
		return
	}
	r.problems = append(r.problems, p)
}

// document notes what is wrong with the file as a whole.
func (r *reader) document(line int, format string, args ...any) {
	r.add(Problem{Line: line, Index: -1, Detail: fmt.Sprintf(format, args...)})
}

const noKeys = "write keys: [] for no keys"

// list returns the node that lists the keys, or nil.
func (r *reader) list(document []byte) *yaml.Node {
	if len(document) > MaxFile {
		r.document(0, "the file has %d bytes: at most %d", len(document), MaxFile)
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(document))
	var root, next yaml.Node
	if err := dec.Decode(&root); errors.Is(err, io.EOF) {
		r.document(0, "the file is empty: "+noKeys) // as a file is that is being written
		return nil
	} else if err != nil {
		r.notYAML(err)
		return nil
	}
	if err := dec.Decode(&next); !errors.Is(err, io.EOF) {
		r.document(next.Line, "a second document begins: put all keys into one list")
		return nil
	}
	top := root.Content[0]
	if top.Kind != yaml.MappingNode {
		r.document(top.Line, "the file is no map: write keys: and a list below it")
		return nil
	}
	var list *yaml.Node
	for i := 0; i+1 < len(top.Content); i += 2 {
		key, value := top.Content[i], top.Content[i+1]
		switch {
		case key.Value != "keys":
			r.document(key.Line, "%s is not known: the file has only keys", short(key.Value))
		case list != nil:
			r.document(key.Line, "keys is there twice")
		case value.Kind != yaml.SequenceNode:
			r.document(value.Line, "keys is no list: %s", noKeys)
			return nil
		default:
			list = value
		}
	}
	if list == nil && len(r.problems) == 0 {
		r.document(top.Line, "keys is missing: %s", noKeys)
	}
	return list
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

func (r *reader) notYAML(err error) {
	text, line := err.Error(), 0
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	r.document(line, "no YAML: %s", strings.TrimPrefix(text, "yaml: "))
}

func (r *reader) keys(list *yaml.Node) {
	if len(list.Content) > MaxKeys {
		r.document(list.Line, "there are %d keys: at most %d", len(list.Content), MaxKeys)
		return
	}
	for i, n := range list.Content {
		e := entry{reader: r, index: i, node: n, lines: map[string]int{}}
		if e.read() {
			r.found = append(r.found, e.key)
		}
	}
}

// An entry is a key that is being read.
type entry struct {
	*reader
	index int
	node  *yaml.Node
	key   Key
	lines map[string]int // of the fields that are there
	bad   bool
}

func (e *entry) problem(field, value, format string, args ...any) {
	line, ok := e.lines[field]
	if !ok {
		line = e.node.Line
	}
	e.bad = true
	e.add(Problem{Line: line, Index: e.index, Name: e.key.Name, Field: field, Value: value, Detail: fmt.Sprintf(format, args...)})
}

var fields = []string{"id", "name", "hash", "user_id", "org_id", "admin", "scopes", "created", "expires", "disabled"}

func (e *entry) read() bool {
	if e.node.Kind != yaml.MappingNode {
		e.problem("", "", "a key is a map with id, name, hash, scopes, and one of user_id, org_id and admin")
		return false
	}
	values := map[string]*yaml.Node{}
	for i := 0; i+1 < len(e.node.Content); i += 2 {
		key, value := e.node.Content[i], e.node.Content[i+1]
		_, twice := e.lines[key.Value]
		e.lines[key.Value] = key.Line
		switch {
		case twice:
			e.problem(key.Value, "", "is there twice")
		case !slices.Contains(fields, key.Value):
			e.problem(short(key.Value), "", "is not known: there are %s", strings.Join(fields, ", "))
		default:
			values[key.Value] = value
		}
	}
	// The name first: problems of the others say it.
	for _, field := range []string{"name", "id", "hash", "user_id", "org_id", "admin", "scopes", "created", "expires", "disabled"} {
		if v := values[field]; v != nil && v.Tag != "!!null" {
			e.field(field, v)
		}
	}
	e.check()
	return !e.bad
}

func (e *entry) field(field string, n *yaml.Node) {
	k := &e.key
	switch field {
	case "name":
		k.Name = e.text(field, n)
	case "id":
		if k.ID = e.text(field, n); k.ID != "" && !validID(k.ID) {
			e.problem(field, short(k.ID), "must be 1 to %d of a-z, 0-9 and -", MaxID)
		}
	case "hash":
		e.hash(n)
	case "user_id":
		k.UserID = e.text(field, n)
	case "org_id":
		k.OrgID = e.text(field, n)
	case "admin":
		k.Admin = e.yes(field, n)
	case "scopes":
		e.scopes(n)
	case "created":
		k.Created = e.time(field, n)
	case "expires":
		k.Expires = e.time(field, n)
	case "disabled":
		k.Disabled = e.yes(field, n)
	}
}

func (e *entry) text(field string, n *yaml.Node) string {
	switch {
	case n.Kind != yaml.ScalarNode:
		e.problem(field, "", "must be a text")
	case n.Tag != "!!str":
		e.problem(field, short(n.Value), "must be a text: put it in quotes")
	case n.Value == "":
		e.problem(field, `""`, "must not be empty: leave it out, or write what it is")
	case len(n.Value) > MaxText || !clean(n.Value):
		e.problem(field, short(n.Value), "must have at most %d bytes and no control characters", MaxText)
	default:
		return n.Value
	}
	return ""
}

// hash never shows what is there: it may be a key that somebody put there by mistake.
func (e *entry) hash(n *yaml.Node) {
	text, ok := strings.CutPrefix(n.Value, hashPrefix)
	raw, err := hex.DecodeString(text)
	if n.Kind != yaml.ScalarNode || !ok || err != nil || len(raw) != len(e.key.Hash) {
		e.problem("hash", "", "must be %s and 64 hexadecimal digits, never the key itself: vmusagectl apikey create writes it", hashPrefix)
		return
	}
	copy(e.key.Hash[:], raw)
}

func (e *entry) yes(field string, n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
		e.problem(field, short(n.Value), "must be true or false")
		return false
	}
	return n.Value == "true" || n.Value == "True" || n.Value == "TRUE"
}

func (e *entry) scopes(n *yaml.Node) {
	if n.Kind != yaml.SequenceNode {
		e.problem("scopes", "", "must be a list of %s", strings.Join(Scopes(), ", "))
		return
	}
	for _, item := range n.Content {
		if item.Kind != yaml.ScalarNode || !validScope(item.Value) {
			e.problem("scopes", short(item.Value), "is no scope: there are %s", strings.Join(Scopes(), ", "))
			continue
		}
		e.key.Scopes = append(e.key.Scopes, item.Value)
	}
	slices.Sort(e.key.Scopes)
	e.key.Scopes = slices.Compact(e.key.Scopes)
}

func (e *entry) time(field string, n *yaml.Node) time.Time {
	if n.Kind == yaml.ScalarNode {
		if t, err := time.Parse(time.RFC3339, n.Value); err == nil && !t.IsZero() {
			return t.UTC()
		}
	}
	e.problem(field, short(n.Value), "must be a time such as 2027-01-31T00:00:00Z")
	return time.Time{}
}

// check holds the fields against each other.
func (e *entry) check() {
	for _, field := range []string{"id", "name", "hash", "scopes"} {
		if _, there := e.lines[field]; !there {
			e.problem(field, "", "is missing")
		}
	}
	if _, there := e.lines["scopes"]; there && len(e.key.Scopes) == 0 && !e.bad {
		e.problem("scopes", "[]", "must have at least one of %s", strings.Join(Scopes(), ", "))
	}
	owners := 0
	for _, is := range []bool{e.key.UserID != "", e.key.OrgID != "", e.key.Admin} {
		if is {
			owners++
		}
	}
	if owners != 1 && !e.bad {
		e.problem("", "", "must have exactly one of user_id, org_id and admin: true, and has %d", owners)
	}
	if first, twice := e.ids[e.key.ID]; twice {
		e.problem("id", short(e.key.ID), "is that of keys[%d], too: each key has one of its own", first)
	} else if e.key.ID != "" {
		e.ids[e.key.ID] = e.index
	}
}

// short quotes a text, and shortens a long one.
func short(s string) string {
	const most = 64
	if len(s) > most {
		return fmt.Sprintf("%q... (%d bytes)", strings.ToValidUTF8(s[:most], ""), len(s))
	}
	return fmt.Sprintf("%q", s)
}

func clean(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
