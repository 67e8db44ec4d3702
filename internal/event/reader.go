package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// A reader keeps the first error, so that reading goes on without asking after
// every field. What is read after it is zero.
type reader struct {
	err   *DecodeError
	nodes []node
	// fields of all objects, those of each together.
	fields []field
}

// A node is where an object lies, for errors, and where its fields are.
type node struct {
	parent   int32
	index    int32 // in the array that key is; -1 where key is the object itself
	key      string
	from, to int32            // in reader.fields
	last     map[string]int32 // of the fields with a key, where there are many; else nil
}

// An object is a JSON object that is being read. One that could not be read has
// no fields.
type object struct {
	r  *reader
	at int32 // in reader.nodes
}

// many is from how many fields on an object is not searched one by one.
const many = 64

// parse reads a whole message: an event, or a CloudEvent in structured mode whose
// data it is.
func (r *reader) parse(data []byte) object {
	r.nodes = make([]node, 0, 16)
	r.fields = make([]field, 0, 16+len(data)/20)
	raw := bytes.Trim(data, " \t\r\n")
	if len(raw) == 0 || raw[0] != '{' || !json.Valid(raw) {
		r.err = notAnObject(data)
		raw = nil
	}
	root := r.add(0, "", -1, raw)
	if !root.has("event_type") && root.has("specversion") {
		return root.object("data")
	}
	return root
}

// notAnObject says what is wrong with a message that is no object.
func notAnObject(data []byte) *DecodeError {
	var fields map[string]json.RawMessage
	err := json.Unmarshal(data, &fields)
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		return malformed("", "%v at byte %d", s, s.Offset)
	}
	if err == nil { // null
		return malformed("", "is null, want an object")
	}
	return malformed("", "%v", err)
}

// add adds the object that raw is; nil has no fields.
func (r *reader) add(parent int32, key string, index int, raw []byte) object {
	n := node{parent: parent, key: key, index: int32(index), from: int32(len(r.fields))} //nolint:gosec // there is less than an event of 2 GiB has
	if raw != nil {
		r.fields = appendFields(r.fields, raw)
	}
	n.to = int32(len(r.fields)) //nolint:gosec // as above
	if n.to-n.from > many {
		n.last = make(map[string]int32, n.to-n.from)
		for i := n.from; i < n.to; i++ {
			n.last[string(r.fields[i].key)] = i
		}
	}
	r.nodes = append(r.nodes, n)
	return object{r, int32(len(r.nodes) - 1)} //nolint:gosec // as above
}

// all returns the fields, in their order.
func (o object) all() []field {
	n := &o.r.nodes[o.at]
	return o.r.fields[n.from:n.to]
}

// raw returns the value of a field; the last where there are several.
func (o object) raw(key string) (value []byte, ok bool) {
	n := &o.r.nodes[o.at]
	if n.last != nil {
		i, ok := n.last[key]
		if !ok {
			return nil, false
		}
		return o.r.fields[i].value, true
	}
	for _, f := range slices.Backward(o.r.fields[n.from:n.to]) {
		if string(f.key) == key {
			return f.value, true
		}
	}
	return nil, false
}

func (o object) has(key string) bool {
	_, ok := o.raw(key)
	return ok
}

// path returns where the object lies: "" or "period.".
func (o object) path() string {
	n := &o.r.nodes[o.at]
	if n.key == "" {
		return ""
	}
	path := object{o.r, n.parent}.path() + n.key
	if n.index >= 0 {
		path += "[" + strconv.Itoa(int(n.index)) + "]"
	}
	return path + "."
}

func (o object) fail(key, format string, args ...any) {
	if o.r.err == nil {
		o.r.err = malformed(o.path()+key, format, args...)
	}
}

// get returns the value of a field that has to be there.
func (o object) get(key string) ([]byte, bool) {
	if o.r.err != nil {
		return nil, false
	}
	raw, ok := o.raw(key)
	if !ok {
		o.fail(key, "is missing")
	}
	return raw, ok
}

// wrong says what a value is and what it should be.
func (o object) wrong(key string, raw []byte, want string) {
	const most = 40 // bytes of a value that anyone may have sent
	shown := string(raw)
	if len(shown) > most {
		shown = strings.ToValidUTF8(shown[:most], "") + "..."
	}
	o.fail(key, "is %s, want %s", shown, want)
}

func isNull(raw []byte) bool { return string(raw) == "null" }

func (o object) text(key string) string {
	raw, ok := o.get(key)
	if !ok {
		return ""
	}
	if raw[0] != '"' {
		o.wrong(key, raw, "a string")
		return ""
	}
	return unquote(raw)
}

func (o object) uuid(key string) uuid.UUID {
	s := o.text(key)
	if o.r.err != nil {
		return uuid.Nil
	}
	id, err := uuid.Parse(s)
	if err != nil || len(s) != 36 { // it takes other forms too; the contract has one
		raw, _ := o.raw(key)
		o.wrong(key, raw, "a UUID")
	}
	return id
}

func (o object) integer(key string) int64 {
	raw, ok := o.get(key)
	if !ok {
		return 0
	}
	v, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		o.wrong(key, raw, "a 64-bit integer")
	}
	return v
}

// amount reads an integer that is never negative.
func (o object) amount(key string) int64 {
	v := o.integer(key)
	if v < 0 {
		o.fail(key, "is %d, want at least 0", v)
	}
	return v
}

// number reads a decimal that is never negative.
func (o object) number(key string) float64 {
	raw, ok := o.get(key)
	if !ok {
		return 0
	}
	v, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || !isNumber(raw) || v < 0 {
		o.wrong(key, raw, "a number of at least 0")
	}
	return v
}

// isNumber tells a JSON number from what else strconv takes for one.
func isNumber(raw []byte) bool {
	return raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9'
}

// millionths reads a decimal as the integer that the domain holds: exactly where
// it has at most six places, else to the nearest.
func (o object) millionths(key string) int64 {
	f := o.number(key)
	if o.r.err != nil {
		return 0
	}
	raw, _ := o.raw(key)
	whole, fraction, _ := strings.Cut(string(raw), ".")
	if len(fraction) <= 6 {
		const zeros = "000000"
		if v, err := strconv.ParseInt(whole+fraction+zeros[len(fraction):], 10, 64); err == nil {
			return v
		}
	}
	f = math.Round(f * million)
	if f >= math.MaxInt64 {
		o.wrong(key, raw, "less")
		return 0
	}
	return int64(f)
}

// flag reads a field that is only there when it is true.
func (o object) flag(key string) bool {
	raw, ok := o.raw(key)
	if !ok {
		return false
	}
	v, err := strconv.ParseBool(string(raw))
	if err != nil || len(raw) < len("true") {
		o.wrong(key, raw, "true or false")
	}
	return v
}

func (o object) object(key string) object {
	raw, ok := o.get(key)
	if ok && raw[0] != '{' {
		o.wrong(key, raw, "an object")
		ok = false
	}
	if !ok {
		raw = nil
	}
	return o.r.add(o.at, key, -1, raw)
}

// list reads an array of objects, which may be missing. A null in it is an object
// without fields.
func (o object) list(key string) []object {
	raw, ok := o.raw(key)
	if !ok || o.r.err != nil {
		return nil
	}
	items, ok := itemsOf(raw)
	for _, item := range items {
		ok = ok && (item[0] == '{' || isNull(item))
	}
	if !ok {
		o.wrong(key, raw, "an array of objects")
		return nil
	}
	list := make([]object, len(items))
	for i, item := range items {
		if item[0] != '{' {
			item = nil
		}
		list[i] = o.r.add(o.at, key, i, item)
	}
	return list
}
