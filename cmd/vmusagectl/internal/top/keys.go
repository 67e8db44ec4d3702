package top

import "strings"

// A Press is what a key is for. From sortKeys on it is the [Key] to order by.
type Press int

// What keys are for.
const (
	Quit Press = iota
	Reverse
	Up
	Down
	PageUp
	PageDown
	Home
	End
	sortKeys
)

// A Keyboard makes presses of what a terminal sends. It belongs to one goroutine.
type Keyboard struct{ rest []byte }

const (
	escape      = 0x1b
	longestSend = 32 // of an escape sequence; what is longer is none
)

// Type returns what was pressed. A sequence may come in parts.
func (k *Keyboard) Type(sent []byte) (presses []Press) {
	k.rest = append(k.rest, sent...)
	for len(k.rest) > 0 {
		n, p, known := k.next()
		if n == 0 {
			break // the rest of it is still to come
		}
		if known {
			presses = append(presses, p)
		}
		k.rest = k.rest[n:]
	}
	return presses
}

// next reads one key of n bytes; 0 where it is not whole.
func (k *Keyboard) next() (n int, p Press, known bool) {
	b := k.rest
	if b[0] != escape {
		p, known = plainKey(b[0])
		return 1, p, known
	}
	if len(b) == 1 {
		return 0, 0, false
	}
	switch b[1] {
	case 'O': // cursor keys in application mode
		if len(b) == 2 {
			return 0, 0, false
		}
		p, known = sequence(string(b[2:3]))
		return 3, p, known
	case '[': // a control sequence: ECMA-48, 5.4
		for i := 2; i < len(b); i++ {
			if b[i] >= 0x40 && b[i] <= 0x7e {
				p, known = sequence(string(b[2 : i+1]))
				return i + 1, p, known
			}
			if b[i] < 0x20 || b[i] > 0x7e || i > longestSend {
				return i, 0, false
			}
		}
		return 0, 0, false
	default:
		return 1, 0, false
	}
}

func plainKey(b byte) (Press, bool) {
	const order = "cmdngas" // as the keys are
	if i := strings.IndexByte(order, b); i >= 0 {
		return sortKeys + Press(i), true
	}
	switch b {
	case 'q', 3, 4: // Ctrl-C and Ctrl-D are no signals here
		return Quit, true
	case 'r':
		return Reverse, true
	case 'k':
		return Up, true
	case 'j':
		return Down, true
	case 'b':
		return PageUp, true
	case ' ', 'f':
		return PageDown, true
	default:
		return 0, false
	}
}

func sequence(s string) (Press, bool) {
	switch s {
	case "A":
		return Up, true
	case "B":
		return Down, true
	case "5~":
		return PageUp, true
	case "6~":
		return PageDown, true
	case "H", "1~", "7~":
		return Home, true
	case "F", "4~", "8~":
		return End, true
	default:
		return 0, false
	}
}
