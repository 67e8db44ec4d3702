package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/follow"
)

func newTail(t terminal) *cobra.Command {
	var (
		f             tailFlags
		brokers       []string
		fromBeginning bool
	)
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show usage events and threshold violations as they come",
		Long: `Read topics and show every usage event on three lines: when (UTC), which
instance and whose, how sure the amounts are; CPU, memory, storage; network, GPU.
A "?" stands for what is not known, which is not zero. A threshold violation has
two or three: when, who and how bad; the rule, the value and since when; what the
rule's author says of it. With --json every event is one line on stdout, byte for
byte what the record holds.

It reads without a consumer group and leaves no trace in Kafka. If Kafka or the
topic is not there yet, it waits and says so. The order is kept within a partition. What is no event is reported on
stderr with its offset, and passed over. Events of other types are shown as JSON.

The exit status is 0 when at least one event was shown, 1 when none was.`,
		Example: `  vmusagectl tail
  vmusagectl tail --from-beginning --timeout 2s
  vmusagectl tail --json --count 1 --timeout 1m --brokers kafka-1:9092,kafka-2:9092
  vmusagectl tail --topic usage_events,usage_thresholds
  vmusagectl tail --json | jq -c '[.instance_id, .metrics.cpu_seconds]'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return runTail(cmd.Context(), t.synced(), f, follow.Options{Brokers: brokers, FromBeginning: fromBeginning})
		},
	}
	f.add(cmd.Flags())
	cmd.Flags().StringSliceVar(&brokers, "brokers", []string{"127.0.0.1:9092"}, "Kafka brokers to start from, `host:port,...`")
	cmd.Flags().StringSliceVar(&f.topics, "topic", []string{"usage_events"}, "`topic` to read; may be given several times")
	cmd.Flags().BoolVar(&fromBeginning, "from-beginning", false, "show what is in the topic first")
	return cmd
}

// tailFlags are the flags of every command that shows events.
type tailFlags struct {
	topics  []string
	json    bool
	count   int
	timeout time.Duration
}

func (f *tailFlags) add(flags *pflag.FlagSet) {
	flags.BoolVar(&f.json, "json", false, "print each event as one line of JSON, as it is in Kafka")
	flags.IntVar(&f.count, "count", 0, "stop after so many events (default: never)")
	flags.DurationVar(&f.timeout, "timeout", 0, "stop when no event came for so long, such as 30s or 2m (default: never)")
}

func (f *tailFlags) check() error {
	if len(f.topics) == 0 || slices.Contains(f.topics, "") {
		return usagef("a topic to show is empty: name one, such as usage_events")
	}
	if f.count < 0 {
		return usagef("--count is %d: must be 0, for no limit, or more", f.count)
	}
	if f.timeout < 0 {
		return usagef("--timeout is %s: must be 0, for no limit, or more", f.timeout)
	}
	return nil
}

func runTail(ctx context.Context, t terminal, f tailFlags, o follow.Options) error {
	p := &printer{terminal: t, json: f.json, color: t.color(), most: f.count}
	o.Idle = f.timeout
	o.Notice = func(line string) { t.say("%s", line) }
	err := follow.RunAll(ctx, f.topics, o, p.record)
	switch {
	case err == nil, errors.Is(err, follow.ErrIdle), ctx.Err() != nil:
		if p.shown == 0 {
			return errNothingCame
		}
		return nil
	default:
		return err
	}
}
