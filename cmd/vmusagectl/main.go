// Command vmusagectl is the operator's tool: it runs a Kafka for development,
// shows usage events as they come, proves that they add up, sends again what did
// not get through, checks threshold rules, makes keys of the API, shows what it knows as a live table, and runs the whole chain on one machine.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), stopSignals()...)
	// The second signal is not caught any more: it ends the program at once, and
	// the kernel ends the collector with it.
	context.AfterFunc(ctx, stop)
	// A closed stdout, as in `vmusagectl tail | head`, is then an error of the
	// write, so that the way out is the orderly one.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)

	os.Exit(run(ctx, terminal{out: os.Stdout, err: os.Stderr, getenv: os.Getenv}, os.Args[1:]))
}

func stopSignals() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}
