package query

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// A cursor is where a page ended. To who has it it means nothing.
type cursor struct {
	Query  uint64  `json:"q"` // of which query
	Number float64 `json:"n"`
	Text   string  `json:"t"`
	ID     string  `json:"i"`
}

func (c *cursor) encode() string {
	b, err := json.Marshal(c)
	if err != nil { // of numbers that are finite, and texts
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func decodeCursor(s string) (c cursor, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || json.Unmarshal(b, &c) != nil || math.IsNaN(c.Number) {
		return cursor{}, false
	}
	return c, true
}

// fingerprint tells queries apart between which a cursor must not wander.
func (q *Query) fingerprint() uint64 {
	var b strings.Builder
	for _, s := range []*string{q.user, q.org, q.hypervisor} {
		if s != nil {
			fmt.Fprintf(&b, "%q", *s)
		}
		b.WriteByte(';')
	}
	for _, l := range q.labels {
		fmt.Fprintf(&b, "%q=%q,%t;", l.key, l.value, l.any)
	}
	fmt.Fprintf(&b, "%q;%d;%v;%d;%t;%d;%q", q.name, q.level, q.least, q.sort, q.desc, q.aggregate, q.by)
	return xxhash.Sum64String(b.String())
}
