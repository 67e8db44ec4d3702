package event

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// A reader keeps the first error, so that reading goes on without asking after
// every field. What is read after it is zero.
type reader struct{ err *DecodeError }

// An object is a JSON object that is being read; path says where it lies: "" or
// "period.".
type object struct {
	r      *reader
	path   string
	fields map[string]json.RawMessage
}

// parse reads a whole message.
func (r *reader) parse(data []byte) object {
	o := object{r: r}
	if err := json.Unmarshal(data, &o.fields); err != nil {
		r.err = malformed("", "%v", err)
		if s, ok := errors.AsType[*json.SyntaxError](err); ok {
			r.err = malformed("", "%v at byte %d", s, s.Offset)
		}
	}
	return o
}

func (o object) fail(key, format string, args ...any) {
	if o.r.err == nil {
		o.r.err = malformed(o.path+key, format, args...)
	}
}

// get returns the value of a field that has to be there.
func (o object) get(key string) (json.RawMessage, bool) {
	if o.r.err != nil {
		return nil, false
	}
	raw, ok := o.fields[key]
	if !ok {
		o.fail(key, "is missing")
	}
	return raw, ok
}

// wrong says what a value is and what it should be.
func (o object) wrong(key string, raw json.RawMessage, want string) {
	const most = 40 // bytes of a value that anyone may have sent
	shown := string(raw)
	if len(shown) > most {
		shown = strings.ToValidUTF8(shown[:most], "") + "..."
	}
	o.fail(key, "is %s, want %s", shown, want)
}

func isNull(raw json.RawMessage) bool { return string(raw) == "null" }

func (o object) text(key string) string {
	raw, ok := o.get(key)
	if !ok {
		return ""
	}
	var s string
	if raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		o.wrong(key, raw, "a string")
	}
	return s
}

func (o object) uuid(key string) uuid.UUID {
	s := o.text(key)
	if o.r.err != nil {
		return uuid.Nil
	}
	id, err := uuid.Parse(s)
	if err != nil || len(s) != 36 { // it takes other forms too; the contract has one
		o.wrong(key, o.fields[key], "a UUID")
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
func isNumber(raw json.RawMessage) bool {
	return raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9'
}

// millionths reads a decimal as the integer that the domain holds: exactly where
// it has at most six places, else to the nearest.
func (o object) millionths(key string) int64 {
	f := o.number(key)
	if o.r.err != nil {
		return 0
	}
	raw := o.fields[key]
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
	raw, ok := o.fields[key]
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
	child := object{r: o.r, path: o.path + key + "."}
	raw, ok := o.get(key)
	if !ok {
		return child
	}
	if raw[0] != '{' || json.Unmarshal(raw, &child.fields) != nil {
		o.wrong(key, raw, "an object")
	}
	return child
}

// list reads an array of objects, which may be missing.
func (o object) list(key string) []object {
	raw, ok := o.fields[key]
	if !ok || o.r.err != nil {
		return nil
	}
	var items []map[string]json.RawMessage
	if raw[0] != '[' || json.Unmarshal(raw, &items) != nil {
		o.wrong(key, raw, "an array of objects")
	}
	list := make([]object, len(items))
	for i, fields := range items {
		list[i] = object{o.r, o.path + key + "[" + strconv.Itoa(i) + "].", fields}
	}
	return list
}
