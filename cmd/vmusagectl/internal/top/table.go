package top

import (
	"slices"
	"strings"
)

// A column of the table. Where there is no room those with the lowest place go first.
type column struct {
	title string
	width int // of a text: the least that is of use
	right bool
	text  bool // takes more room where there is some
	place int
	keys  []Key // that its title is marked for
	cell  func(*Row) string
}

func allColumns() []column {
	number := func(title string, width, place int, cell func(*Row) string, keys ...Key) column {
		return column{title: title, width: width, right: true, place: place, keys: keys, cell: cell}
	}
	return []column{
		{title: "INSTANCE", width: 12, text: true, place: 99, keys: []Key{ByName}, cell: func(r *Row) string { return clean(r.label()) }},
		{title: "USER", width: 8, text: true, place: 4, cell: func(r *Row) string { return text(r.UserID) }},
		{title: "ORG", width: 8, text: true, place: 1, cell: func(r *Row) string { return text(r.OrgID) }},
		{title: "STATE", width: 8, place: 98, keys: []Key{ByState}, cell: func(r *Row) string { return text(r.Level) }},
		number("CPU %", 6, 97, func(r *Row) string { return percent(r.CPU) }, ByCPU),
		number("VCPUS", 5, 3, func(r *Row) string { return count(r.CPUs) }),
		number("MEM", 6, 6, func(r *Row) string { return bytes(r.MemoryUsed) }),
		number("LIMIT", 6, 2, func(r *Row) string { return bytes(r.MemoryLimit) }),
		number("MEM %", 6, 96, func(r *Row) string { return percent(r.Memory) }, ByMemory),
		number("READ/s", 7, 9, func(r *Row) string { return bytes(r.DiskRead) }, ByDisk),
		number("WRITE/s", 8, 10, func(r *Row) string { return bytes(r.DiskWrite) }, ByDisk),
		number("IN/s", 6, 11, func(r *Row) string { return bytes(r.NetReceive) }, ByNetwork),
		number("OUT/s", 6, 12, func(r *Row) string { return bytes(r.NetTransmit) }, ByNetwork),
		number("GPU %", 6, 8, func(r *Row) string { return percent(r.GPU) }, ByGPU),
		number("AGE", 4, 7, func(r *Row) string { return seconds(r.Age) }),
	}
}

// layout returns the columns that rows are shown in, room columns of the terminal wide at
// most; room 0 is no limit.
func layout(rows []Row, room int) []column {
	cols := allColumns()
	if !slices.ContainsFunc(rows, func(r Row) bool { return r.GPUs > 0 }) {
		cols = slices.DeleteFunc(cols, func(c column) bool { return c.title == "GPU %" })
	}
	used := func() (n int) {
		for _, c := range cols {
			n += c.width + 1
		}
		return n - 1
	}
	for room > 0 && used() > room && len(cols) > 1 {
		least := slices.MinFunc(cols, func(a, b column) int { return a.place - b.place })
		cols = slices.DeleteFunc(cols, func(c column) bool { return c.place == least.place })
	}
	for i := range cols {
		c := &cols[i]
		if !c.text {
			continue
		}
		natural := columns(c.title) + 1
		for r := range rows {
			natural = max(natural, columns(c.cell(&rows[r])))
		}
		more := natural - c.width
		if room > 0 {
			more = min(more, room-used())
		}
		c.width += more
	}
	return cols
}

// heading is the line of titles; that of what rows are ordered by has an arrow.
func heading(cols []column, k Key, reverse bool) string {
	arrow := "↓"
	if reverse != (k == ByName) {
		arrow = "↑"
	}
	cells := make([]string, len(cols))
	for i, c := range cols {
		title := c.title
		if slices.Contains(c.keys, k) {
			title += arrow
		}
		cells[i] = fit(title, c.width, c.right)
	}
	return strings.Join(cells, " ")
}

// line is a row, in the color of its state.
func line(cols []column, r *Row, color bool) string {
	style := levelStyle(r.rank())
	cells := make([]string, len(cols))
	for i, c := range cols {
		cells[i] = fit(c.cell(r), c.width, c.right)
		if color && r.rank() == 0 && c.title == "STATE" {
			cells[i] = paint(style, cells[i])
		}
	}
	text := strings.Join(cells, " ")
	if color && r.rank() > 0 {
		return paint(style, text)
	}
	return text
}

// Table is all rows, for a screen so wide; width 0 is no limit.
func Table(rows []Row, k Key, reverse bool, width int, color bool) string {
	cols := layout(rows, width)
	var b strings.Builder
	title := strings.TrimRight(heading(cols, k, reverse), " ")
	if color {
		title = paint("1", title)
	}
	b.WriteString(title + "\n")
	for i := range rows {
		b.WriteString(strings.TrimRight(line(cols, &rows[i], color), " ") + "\n")
	}
	return b.String()
}

// paint writes text in a style: the parameter of an ANSI SGR sequence (ECMA-48, 8.3.117).
func paint(style, text string) string {
	if style == "" {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

func levelStyle(rank int) string {
	return [...]string{"", "32", "33", "31"}[rank+1] // plain, green, yellow, red
}
