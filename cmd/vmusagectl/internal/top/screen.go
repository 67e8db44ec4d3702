package top

import (
	"slices"
	"time"
)

// A Screen is what the live view shows. It belongs to one goroutine.
type Screen struct {
	Title   string // what is asked
	Color   bool
	Key     Key
	Reverse bool

	tracker  Tracker
	rows     []Row
	health   Health
	known    bool      // something was answered
	received time.Time // when that was
	trouble  string    // why there is nothing newer

	width, height, first int
}

const (
	headLines = 5 // above the rows, titles included
	footLines = 1
)

// Update shows an answer.
func (s *Screen) Update(snapshot *Snapshot, now time.Time) {
	s.rows = Rows(snapshot, s.tracker.Next(snapshot.Readings))
	s.health, s.known, s.received, s.trouble = snapshot.Health, true, now, ""
	s.sort()
}

// Fail shows why there is no answer, beside the last that there was.
func (s *Screen) Fail(why string) { s.trouble = oneLine(why) }

// Resize makes the screen so large.
func (s *Screen) Resize(width, height int) {
	s.width, s.height = max(width, 1), max(height, 1)
	s.scroll(0)
}

// Press does what a key is for, and reports whether that is to quit.
func (s *Screen) Press(p Press) (quit bool) {
	switch p {
	case Quit:
		return true
	case Reverse:
		s.Reverse = !s.Reverse
		s.sort()
	case Up:
		s.scroll(-1)
	case Down:
		s.scroll(1)
	case PageUp:
		s.scroll(-max(1, s.room()))
	case PageDown:
		s.scroll(max(1, s.room()))
	case Home:
		s.scroll(-len(s.rows))
	case End:
		s.scroll(len(s.rows))
	default:
		s.Key, s.Reverse, s.first = Key(p-sortKeys), false, 0
		s.sort()
	}
	return false
}

func (s *Screen) sort() {
	Sort(s.rows, s.Key, s.Reverse)
	s.scroll(0)
}

// room is how many rows are seen.
func (s *Screen) room() int { return max(0, s.height-headLines-footLines) }

func (s *Screen) scroll(by int) {
	s.first = max(0, min(s.first+by, len(s.rows)-s.room()))
}

// Frame returns the lines of the screen, none of them wider than it is.
func (s *Screen) Frame(now time.Time) []string {
	lines := append(s.head(now), s.table(now)...)
	if s.height <= headLines+footLines {
		return lines[:min(len(lines), s.height)]
	}
	for len(lines) < s.height-footLines {
		lines = append(lines, "")
	}
	foot := "c cpu  m mem  d disk  n net  g gpu  a name  s state  r reverse  arrows PgUp PgDn scroll  q quit"
	if end := min(s.first+s.room(), len(s.rows)); s.first > 0 || end < len(s.rows) {
		foot = grouped(s.first+1) + "-" + grouped(end) + " of " + grouped(len(s.rows)) + "  " + foot
	}
	return append(lines, s.styled("2", foot))
}

// head is all above the titles.
func (s *Screen) head(now time.Time) []string {
	health, style := "health not for this key", "2"
	switch {
	case !s.known:
		health = ""
	case s.health.Status != "":
		health = "health " + clean(s.health.Status)
		if s.health.Detail != "" {
			health += ": " + oneLine(s.health.Detail)
		}
		style = levelStyle(slices.Index([]string{"ok", "degraded", "error"}, s.health.Status))
	}
	lines := []string{
		s.styled("1", now.Format(time.TimeOnly)+"  "+clean(s.Title)),
		s.styled(style, health),
	}
	trouble := s.trouble
	if s.known {
		if trouble != "" {
			age := now.Sub(s.received).Seconds()
			trouble = "as of " + seconds(&age) + " ago: " + trouble
		}
		lines = append(lines, s.counts(), s.styled("31;1", trouble))
		if trouble == "" {
			lines[len(lines)-1] = s.styled("", totals(s.rows))
		}
		return lines
	}
	if trouble == "" {
		return append(lines, s.styled("2", "asking"), "")
	}
	return append(lines, s.styled("31;1", trouble), "")
}

func (s *Screen) counts() string {
	worst := -1
	for i := range s.rows {
		worst = max(worst, s.rows[i].rank())
	}
	return s.styled(levelStyle(worst), states(s.rows))
}

// table is the titles and the rows that are seen, as old as they are by now.
func (s *Screen) table(now time.Time) []string {
	cols := layout(s.rows, s.width)
	lines := []string{s.styled("7", fit(heading(cols, s.Key, s.Reverse), s.width, false))}
	since := max(0, now.Sub(s.received).Seconds())
	for i := s.first; i < min(s.first+s.room(), len(s.rows)); i++ {
		r := s.rows[i]
		if r.Age != nil {
			r.Age = new(*r.Age + since)
		}
		text := line(cols, &r, s.Color)
		if len(cols) == 1 { // a screen less wide than the narrowest column
			text = cut(line(cols, &r, false), s.width)
		}
		lines = append(lines, text)
	}
	return lines
}

// styled is text as wide as the screen at most.
func (s *Screen) styled(style, text string) string {
	if text = cut(text, s.width); s.Color && text != "" {
		return paint(style, text)
	}
	return text
}
