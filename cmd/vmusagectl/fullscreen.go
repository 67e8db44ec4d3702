package main

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/term"
)

const (
	// The alternate screen, without a cursor and without lines that wrap; and back:
	// https://invisible-island.net/xterm/ctlseqs/ctlseqs.html
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[?7l"
	leaveScreen = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
)

// A fullScreen is a terminal that a program has for itself: keys come at once and unseen, from
// tty, and what is on the screen comes back when the program leaves it.
type fullScreen struct {
	tty, out *os.File
	before   *term.State // nil until it was entered
}

// withFD calls f with tty's descriptor; tty.Fd would take its deadlines away.
func (s *fullScreen) withFD(f func(fd int) error) error {
	conn, err := s.tty.SyscallConn()
	if err != nil {
		return err
	}
	var done error
	if err := conn.Control(func(fd uintptr) { done = f(int(fd)) }); err != nil {
		return err
	}
	return done
}

// enter takes the terminal. To enter again after the shell had the terminal in between keeps
// what was before the first time.
func (s *fullScreen) enter() error {
	err := s.withFD(func(fd int) error {
		state, err := term.MakeRaw(fd)
		if err == nil && s.before == nil {
			s.before = state
		}
		return err
	})
	if err == nil {
		_, err = s.out.WriteString(enterScreen)
	}
	if err != nil {
		s.leave()
		return fmt.Errorf("prepare the terminal: %w", err)
	}
	return nil
}

// leave gives the terminal back. There is nobody to tell what fails.
func (s *fullScreen) leave() {
	if s.before == nil {
		return
	}
	_, _ = s.out.WriteString(leaveScreen)
	_ = s.withFD(func(fd int) error { return term.Restore(fd, s.before) })
}

// size is 80 by 24 where the terminal does not know.
func (s *fullScreen) size() (width, height int) {
	err := s.withFD(func(fd int) (err error) {
		width, height, err = term.GetSize(fd)
		return err
	})
	if err != nil || width < 1 || height < 1 {
		return 80, 24
	}
	return width, height
}

// watch tells that the screen is to be drawn anew. After a stop it takes the terminal again:
// the shell has put it in its own order.
func (s *fullScreen) watch(signals <-chan os.Signal, resized chan<- struct{}, ended <-chan struct{}) {
	for {
		select {
		case <-ended:
			return
		case sig := <-signals:
			if sig == syscall.SIGCONT {
				_ = s.enter() // the next frame fails, too, if the terminal is gone
			}
		}
		select {
		case <-ended:
			return
		case resized <- struct{}{}:
		}
	}
}
