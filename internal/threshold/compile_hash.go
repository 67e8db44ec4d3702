package threshold

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
)

// A Hash tells whether two rules find the same violations.
type Hash [16]byte

// String returns the hash in hex.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Hash returns the hash of what decides when the rule is violated and by whom,
// the same in every process and version. What only says how that is told
// (description, action, channels, labels, repeat_interval), and where the rule
// was written, is not in it: a rule in which only that changes keeps its
// episodes.
func (r *Rule) Hash() Hash {
	h := ruleHash{buf: make([]byte, 0, 512)}
	h.text("1", r.ID, string(r.Resource), r.Metric, string(r.Type), r.Unit, r.LimitUnit)
	h.matchers(r.Attributes)
	h.flags(r.Enabled, r.HasWarning, r.HasCritical, r.HasClear)
	h.numbers(r.LimitWritten, r.Warning, r.Critical, r.Clear)
	h.text(string(r.Direction), string(r.NoData), string(r.Window), string(r.Per), r.Timezone.String())
	h.ints(int64(r.For), int64(r.KeepFiringFor), int64(r.NoDataAfter))
	h.values(r.Selector.InstanceID)
	h.values(r.Selector.UserID)
	h.values(r.Selector.OrgID)
	h.matchers(r.Selector.Labels)
	sum := sha256.Sum256(h.buf)
	return Hash(sum[:16])
}

// ruleHash writes texts and lists with their lengths, so that no two lists of
// things are written alike.
type ruleHash struct{ buf []byte }

func (h *ruleHash) ints(values ...int64) {
	for _, v := range values {
		h.buf = binary.AppendVarint(h.buf, v)
	}
}

func (h *ruleHash) text(texts ...string) {
	for _, t := range texts {
		h.ints(int64(len(t)))
		h.buf = append(h.buf, t...)
	}
}

func (h *ruleHash) flags(flags ...bool) {
	for _, f := range flags {
		b := byte(0)
		if f {
			b = 1
		}
		h.buf = append(h.buf, b)
	}
}

func (h *ruleHash) numbers(numbers ...float64) {
	for _, n := range numbers {
		h.buf = binary.BigEndian.AppendUint64(h.buf, math.Float64bits(n))
	}
}

func (h *ruleHash) values(v Values) {
	h.ints(int64(len(v.Exact)), int64(len(v.Globs)))
	h.text(v.Exact...)
	h.text(v.Globs...)
}

func (h *ruleHash) matchers(ms []Matcher) {
	h.ints(int64(len(ms)))
	for _, m := range ms {
		h.text(m.Key)
		h.values(m.Values)
	}
}
