package threshold

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxProblems is how many problems of a document are told.
const MaxProblems = 100

// A Problem is one thing that is wrong with a document.
type Problem struct {
	Line  int    // from 1; 0 where there are no lines
	Index int    // of the rule in its document, from 0; -1 where it is not about a rule
	Rule  string // its id; "" where it has none
	Key   string // of the rule or the document, as in selector.user_id; "" where it is about no key
	Value string // what is there, shortened, texts in quotes; "" where nothing is or it says nothing
	// Detail says what is wrong and what would be right.
	Detail string
}

// Error returns all of it in one line.
func (p Problem) Error() string {
	if p.Line == 0 {
		return p.Message()
	}
	return fmt.Sprintf("line %d: %s", p.Line, p.Message())
}

// Message returns all of it but the line.
func (p Problem) Message() string {
	var b strings.Builder
	if p.Index >= 0 {
		fmt.Fprintf(&b, "rules[%d]", p.Index)
		if p.Rule != "" {
			fmt.Fprintf(&b, " %s", quote(p.Rule))
		}
		b.WriteString(": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + " ")
		if p.Value != "" {
			b.WriteString("is " + p.Value + ": ")
		}
	}
	return b.String() + p.Detail
}

// A DocumentError is what is wrong with a document. None of its rules is used.
type DocumentError struct {
	Problems []Problem // in the order of the document, at most MaxProblems
	More     int       // how many there are besides
}

// Error has a line for each problem.
func (e *DocumentError) Error() string {
	lines := make([]string, 0, len(e.Problems)+1)
	for _, p := range e.Problems {
		lines = append(lines, p.Error())
	}
	if e.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", e.More))
	}
	return strings.Join(lines, "\n")
}

// add takes a problem, or only counts it.
func (e *DocumentError) add(p Problem) {
	if len(e.Problems) == MaxProblems {
		e.More++
		return
	}
	e.Problems = append(e.Problems, p)
}

// addLast takes a problem even where there are enough.
func (e *DocumentError) addLast(p Problem) {
	if last := MaxProblems - 1; len(e.Problems) > last {
		e.Problems = e.Problems[:last]
		e.More++
	}
	e.add(p)
}

// err returns e where there are problems.
func (e *DocumentError) err() error {
	if len(e.Problems) == 0 {
		return nil
	}
	return e
}

// A fault is a problem of a rule before it is known where it stands.
type fault struct {
	key    string
	value  any // nil where nothing is there
	detail string
}

// shown returns a value as problems show it: quoted where it is a text, and short.
func shown(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return quote(v)
	default:
		return fmt.Sprint(v)
	}
}

func quote(s string) string {
	const most = 64
	if len(s) <= most {
		return fmt.Sprintf("%q", s)
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return fmt.Sprintf("%q... (%d bytes)", s[:cut], len(s))
}
