package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/child"
	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/follow"
	"github.com/vmusage/otelcol-vmusage/internal/devbroker"
)

// drainWithin bounds how long the view may take to show the events that were
// stored when the collector was gone.
const drainWithin = 3 * time.Second

// runOn runs the view and the collector on a broker, and returns when both are
// gone.
//
//	view ready -> collector -> (Ctrl-C, or the view is done, or a part failed)
//	           -> SIGTERM to the collector, kill after grace -> view reads to the end
func (u *up) runOn(ctx context.Context, b *devbroker.Broker, program string) error {
	view, err := u.startView(ctx, b.Addr())
	if err != nil {
		return err
	}
	defer view.cancel()
	log, err := child.CreateLog(u.log)
	if err != nil {
		return err
	}
	defer log.Close()
	collector, err := child.Start(program, u.collectorArgs(), append(os.Environ(), "KAFKA_BROKER="+b.Addr()), log)
	if err != nil {
		return err
	}
	u.banner(b, program)

	var failed error
	select {
	case <-ctx.Done():
		u.say("stopping")
	case <-view.done:
	case <-b.Failed():
		failed = b.Err()
	case <-collector.Done():
		failed = u.failure(collector)
	}
	if collector.Stop(u.grace) {
		u.say("the collector did not stop within %s and was killed", u.grace)
	}
	shown := view.finish()
	switch {
	case failed != nil:
		return failed
	case ctx.Err() != nil && (shown == nil || errors.Is(shown, errNothingCame)):
		return errTold
	default:
		return shown
	}
}

// A view is a tail that runs beside.
type view struct {
	cancel context.CancelFunc
	drain  chan struct{}
	done   chan struct{} // closed after err is set
	err    error
}

// startView starts a tail and returns when it misses nothing any more. It lives
// on when ctx is done: the collector's last events are still to come.
func (u *up) startView(ctx context.Context, addr string) (*view, error) {
	viewCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	v := &view{cancel: cancel, drain: make(chan struct{}), done: make(chan struct{})}
	ready := make(chan struct{})
	go func() {
		defer close(v.done)
		v.err = runTail(viewCtx, u.terminal, u.tail, follow.Options{
			Brokers: []string{addr},
			Drain:   v.drain,
			Ready:   func() { close(ready) },
		})
	}()
	select {
	case <-ready:
		return v, nil
	case <-v.done:
		cancel()
		return nil, v.err
	case <-ctx.Done():
		cancel()
		<-v.done
		return nil, errTold
	}
}

// finish lets the view read what is stored, ends it, and returns its result.
func (v *view) finish() error {
	close(v.drain)
	timer := time.AfterFunc(drainWithin, v.cancel)
	defer timer.Stop()
	<-v.done
	return v.err
}

// banner says what runs where.
func (u *up) banner(b *devbroker.Broker, program string) {
	prometheus := u.getenv("PROMETHEUS_ENDPOINT")
	if prometheus == "" {
		prometheus = "127.0.0.1:9464"
	}
	api := u.getenv("USAGE_API_ENDPOINT")
	if api == "" {
		api = "127.0.0.1:8080"
	}
	u.say(`Kafka        %s, data in %s, no authentication
collector    %s %s
             its log is in %s
usage API    http://%s/api/v1/docs, as otelcol-config.yaml sets it
Prometheus   http://%s/metrics, as otelcol-config.yaml sets it
read along   kcat -b %s -t %s -C -o end
stop         Ctrl-C

Waiting for the first event: it comes at the end of the first whole period.`,
		b.Addr(), u.broker.dataDir,
		program, strings.Join(u.collectorArgs(), " "),
		u.log,
		api,
		prometheus,
		b.Addr(), u.tail.topics[0])
}
