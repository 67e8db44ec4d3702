package threshold

import "math/bits"

// A mark says which periods of a stream were added: runs of sequences, ascending,
// with something missing between one and the next. Periods of a stream can come
// out of order, where one waits alone until it is taken.
type mark struct {
	runs [4]run
	n    int
	end  int64 // unix ns of the latest end
}

// A run is all sequences from first to last.
type run struct{ first, last uint64 }

// A verdict says whether a period is to be added.
type verdict uint8

const (
	isNew       verdict = iota
	isRepeated          // all of it was added before
	isAmbiguous         // a part was
)

// take adds a period, if it is new. Where there are more runs than it remembers,
// what is missing between the first two counts as added.
func (m *mark) take(first, last uint64, end int64) verdict {
	runs := m.runs[:m.n]
	i := 0
	for i < len(runs) && runs[i].last < first {
		i++
	}
	if i < len(runs) && runs[i].first <= last {
		if runs[i].first <= first && last <= runs[i].last {
			return isRepeated
		}
		return isAmbiguous
	}
	m.end = max(m.end, end)
	joinsBefore := i > 0 && runs[i-1].last+1 == first
	joinsAfter := i < len(runs) && last+1 == runs[i].first
	switch {
	case joinsBefore && joinsAfter:
		runs[i-1].last = runs[i].last
		copy(runs[i:], runs[i+1:])
		m.n--
		m.runs[m.n] = run{}
	case joinsBefore:
		runs[i-1].last = last
	case joinsAfter:
		runs[i].first = first
	default:
		m.insert(i, run{first, last})
	}
	return isNew
}

func (m *mark) insert(i int, r run) {
	if m.n < len(m.runs) {
		copy(m.runs[i+1:m.n+1], m.runs[i:m.n])
		m.runs[i] = r
		m.n++
		return
	}
	switch i { // what lies between the first two of five is given up
	case 0:
		m.runs[0].first = r.first
	case 1:
		m.runs[0].last = r.last
	default:
		m.runs[1].first = m.runs[0].first
		copy(m.runs[:i-1], m.runs[1:i])
		m.runs[i-1] = r
	}
}

// mulDiv returns a*b/c, rounded down, of numbers that are not negative, with b <= c and c > 0.
func mulDiv(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b)) //nolint:gosec // not negative
	q, _ := bits.Div64(hi, lo, uint64(c))      //nolint:gosec // not negative; hi < c because b <= c
	return int64(q)                            //nolint:gosec // at most a
}
