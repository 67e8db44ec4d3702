package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/follow"
)

// topicFlags are the flags of every command that reads a topic to its end.
type topicFlags struct {
	brokers []string
	topic   string
	timeout time.Duration // without a record; 0: none
}

func (f *topicFlags) check() error {
	if f.timeout < 0 {
		return usagef("--timeout is %s: must be 0, for no limit, or more", f.timeout)
	}
	return nil
}

// readTopic calls handle with what a topic holds, up to the end that it has when
// it is first seen. The handler ends the reading with [follow.ErrStop].
func readTopic(ctx context.Context, t terminal, f topicFlags, handle func(*kgo.Record) error) error {
	drain := make(chan struct{})
	err := follow.Run(ctx, follow.Options{
		Brokers: f.brokers, Topic: f.topic, FromBeginning: true, Idle: f.timeout,
		Drain: drain, Ready: func() { close(drain) },
		Notice: func(line string) { t.say("%s", line) },
	}, handle)
	switch {
	case errors.Is(err, follow.ErrIdle):
		return fmt.Errorf("the end of topic %s was not reached: nothing came for %s", f.topic, f.timeout)
	case err != nil:
		return fmt.Errorf("the end of topic %s was not reached: %w", f.topic, err)
	default:
		return nil
	}
}
