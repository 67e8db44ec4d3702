package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/top"
)

// runLive shows the table until it is quit. The terminal is then as it was, also after a panic.
func (f *topFlags) runLive(ctx context.Context, t terminal, p *top.Poller, key top.Key, filter url.Values) error {
	out, ok := t.out.(*os.File)
	if !ok || !isTerminal(out) || t.getenv("TERM") == "dumb" {
		return usagef("stdout is no terminal that can show a live table: use --once")
	}
	// Opened anew, its reads can be ended, and stdin may be anything.
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return fmt.Errorf("open the terminal for keys: %w", err)
	}
	defer tty.Close()
	screen := &fullScreen{tty: tty, out: out}
	if err := screen.enter(); err != nil {
		return err
	}
	defer screen.leave() // after the goroutines, one of which may enter again

	typed, resized, ended := make(chan []byte), make(chan struct{}), make(chan struct{})
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGWINCH, syscall.SIGCONT)
	var others sync.WaitGroup
	defer others.Wait()
	others.Go(func() { readTyped(tty, typed, ended) })
	others.Go(func() { screen.watch(signals, resized, ended) })
	defer func() {
		signal.Stop(signals)
		close(ended)
		_ = tty.SetReadDeadline(time.Unix(1, 0)) // ends the read
	}()
	live := top.Live{
		Screen: &top.Screen{Title: f.title(filter), Color: t.color(), Key: key, Reverse: f.reverse},
		Poll:   p.Poll, Interval: f.interval, Out: out, Typed: typed, Resized: resized, Size: screen.size,
	}
	return live.Run(ctx)
}

// title says what is asked; a password in the URL is nobody's to read.
func (f *topFlags) title(filter url.Values) string {
	title := "vmusagectl top  " + f.api.endpoint
	if u, err := url.Parse(f.api.endpoint); err == nil {
		title = "vmusagectl top  " + u.Redacted()
	}
	for _, parameter := range []string{"user", "org", "label", "name", "threshold"} {
		for _, value := range filter[parameter] {
			title += "  " + strings.Replace(parameter, "threshold", "level", 1) + "=" + value
		}
	}
	return title
}

// readTyped sends what is typed until the terminal is gone or told to end.
func readTyped(tty *os.File, typed chan<- []byte, ended <-chan struct{}) {
	defer close(typed)
	for {
		sent := make([]byte, 256)
		n, err := tty.Read(sent)
		if err != nil {
			return
		}
		select {
		case typed <- sent[:n]:
		case <-ended:
			return
		}
	}
}
