package main

import (
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// A terminal is where a command writes: events to out, all that is about the
// program itself to err.
type terminal struct {
	out, err io.Writer
	getenv   func(string) string
}

// say writes a line to err.
func (t terminal) say(format string, args ...any) {
	fmt.Fprintf(t.err, format+"\n", args...)
}

// color reports whether out shows colors: a terminal, unless the user or the
// terminal wants none. https://no-color.org
func (t terminal) color() bool {
	f, ok := t.out.(*os.File)
	return ok && t.getenv("NO_COLOR") == "" && t.getenv("TERM") != "dumb" && isTerminal(f)
}

// width is how many columns out has; 0 where it is no terminal.
func (t terminal) width() int {
	f, ok := t.out.(*os.File)
	if !ok {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// synced returns a terminal whose err takes lines from several goroutines.
func (t terminal) synced() terminal {
	t.err = &syncWriter{w: t.err}
	return t
}

type syncWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *syncWriter) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}
