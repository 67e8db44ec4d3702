package render

import "strings"

// A style is the parameter of an ANSI SGR sequence (ECMA-48, 8.3.117).
type style string

const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
)

// A pen writes text, in styles if color is set.
type pen struct {
	color bool
	strings.Builder
}

func (p *pen) put(s style, text string) {
	if !p.color || s == plain {
		p.WriteString(text)
		return
	}
	p.WriteString("\x1b[" + string(s) + "m" + text + "\x1b[0m")
}

func (p *pen) label(text string) { p.put(dim, text) }
