package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/child"
	"github.com/vmusage/otelcol-vmusage/internal/devbroker"
)

func newUp(t terminal) *cobra.Command {
	u := &up{broker: brokerFlags{listenName: "broker-listen"}}
	cmd := &cobra.Command{
		Use:   "up [flags] [-- collector arguments]",
		Short: "Run Kafka, the collector and tail as one program",
		Long: `Run a Kafka broker (see 'broker'), the collector, and a live view of the events
(see 'tail') in the foreground. It shows the first event at the end of the first
whole period. Ctrl-C stops the collector, then the view, then the broker, so that
the last events are stored and shown; a second Ctrl-C ends everything at once.

The collector finds the broker through the environment: KAFKA_BROKER is set to its
address for it, and otelcol-config.yaml uses that. A config that names another
Kafka sends its events there, and none are seen here. What follows "--" goes to
the collector as it is.

Events go to stdout, everything else to stderr. The exit status is 1 when a part
failed, or when --count or --timeout ended it and no event came.`,
		Example: `  vmusagectl up
  vmusagectl up --count 1 --timeout 2m --json
  vmusagectl up --broker-listen 127.0.0.1:19092 --data-dir /tmp/kafka --log /tmp/collector.log
  vmusagectl up -- --set=receivers.vm_usage.period=10s`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.ArgsLenAtDash() != 0 && len(args) > 0 {
				return usagef("unexpected argument %q: what is for the collector comes after --", args[0])
			}
			u.terminal, u.extra, u.showSet = t.synced(), args, cmd.Flags().Changed("show")
			return u.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	u.broker.add(flags)
	u.tail.add(flags)
	flags.StringVar(&u.collector, "collector", "", "the collector's `program` (default: otelcol-vmusage beside vmusagectl, else in PATH)")
	flags.StringArrayVar(&u.configs, "config", []string{"./otelcol-config.yaml"}, "the collector's `configuration`; may be given several times, as the collector takes it")
	flags.StringVar(&u.log, "log", "./data/collector.log", "`file` for the collector's output; that of the run before is kept as .old")
	flags.DurationVar(&u.grace, "grace", 15*time.Second, "how long the collector may take to stop before it is killed")
	flags.StringSliceVar(&u.tail.topics, "show", []string{"usage_events", "usage_thresholds"}, "`topic` to show; may be given several times")
	return cmd
}

// errTold is the end of a run that was told to stop, and did.
var errTold = errors.New("told to stop")

// up is one run of the command.
type up struct {
	terminal
	broker brokerFlags
	tail   tailFlags
	// showSet: the topics to show are the user's choice.
	showSet bool

	collector string
	configs   []string
	extra     []string
	log       string
	grace     time.Duration
}

func (u *up) run(ctx context.Context) error {
	if err := u.check(); err != nil {
		return err
	}
	program, err := u.findCollector()
	if err != nil {
		return err
	}
	broker, err := u.broker.start(ctx, u.terminal)
	if err != nil {
		return err
	}
	if !u.showSet {
		u.tail.topics = present(u.tail.topics, broker.Topics())
	}
	err = u.runOn(ctx, broker, program)
	if errors.Is(err, errTold) {
		err = nil
	}
	// Last, when nobody writes any more.
	if closeErr := broker.Close(); closeErr != nil {
		err = errors.Join(err, fmt.Errorf("stop the broker: %w", closeErr))
	}
	return err
}

// present returns those of want that the broker was told to have, or all of them
// where it was told of none.
func present(want []string, have []devbroker.Topic) []string {
	var both []string
	for _, topic := range have {
		if slices.Contains(want, topic.Name) {
			both = append(both, topic.Name)
		}
	}
	if both == nil {
		return want
	}
	return both
}

// check looks for what would otherwise come out when everything is running.
func (u *up) check() error {
	if u.grace < 0 {
		return usagef("--grace is %s: must not be negative", u.grace)
	}
	if err := u.tail.check(); err != nil {
		return err
	}
	return u.checkConfigs()
}

// failure says how the collector ended and what it said last.
func (u *up) failure(p *child.Process) error {
	const lines = 20
	how := "with exit status 0"
	if p.Err() != nil {
		how = "with " + p.Err().Error()
	}
	u.say("the last lines of %s:", u.log)
	for _, line := range child.LastLines(u.log, lines) {
		u.say("  %s", line)
	}
	return fmt.Errorf("the collector ended by itself, %s", how)
}
