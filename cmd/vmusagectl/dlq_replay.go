package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/letters"
)

func newDLQReplay(t terminal) *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Write dead events to their topic again",
		Long: `Write the events of dead letters to the topic that they were meant for (dlq-topic),
each as it was: key, value and headers; and with dlq-attempts, so that its next
dead letter counts on. Do it when what dlq-error names is gone. A letter stays on
the dead-letter topic: nothing is deleted.

It can be done again and again, an event is there once: each origin topic is read
once first, from its beginning to the end that it has now, and an event whose id
is in it is not written. (This takes as long as the topic is large. Of an event
that the topic's retention has deleted nothing is known: it is written again. Two
replays at the same time may both write an event; consumers drop repeats by id.)
Of several letters of an event the newest is replayed.

Not replayed, but named with what to do instead, are letters that
  otlp_json     hold the input that no event could be made of
  truncated     hold a part of an event only
  no_event_id   hold an event without an id: nothing would tell a repeat
  max_attempts  came back --max-attempts times or more
  broken        are no proper dead letters
and, with nothing left to do, those that are
  present       in the origin topic
  superseded    by a newer letter of the event

A record is written when all replicas in sync have it, and one by one: a replay
that is cut off is simply done again. Partitions are chosen as the Java client
does (murmur2 of the key), so that the events of an instance stay in order among
each other.

The exit status is 0 when everything that was to be replayed is written, be it
nothing, 1 when something could not be, when the end of a topic was not reached,
or when there is no letter, 2 when it was called wrongly.`,
		Example: `  # what would be done?
  vmusagectl dlq replay --dry-run

  # max.message.bytes was raised
  vmusagectl dlq replay --reason message_too_large

  vmusagectl dlq replay --event-id 5d0c8f0e-8a4c-5b43-9a52-1f3f2e1b7c11 --max-attempts 10`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return runReplay(cmd.Context(), t.synced(), f)
		},
	}
	flags := cmd.Flags()
	f.add(flags)
	f.addFilter(flags)
	flags.Int64Var(&f.maxAttempts, "max-attempts", 5, "leave letters of events that were dead-lettered so `many` times or more")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what would be done, and write nothing")
	return cmd
}

type replayFlags struct {
	dlqFlags
	maxAttempts int64
	dryRun      bool
}

func (f *replayFlags) check() error {
	if f.maxAttempts < 1 {
		return usagef("--max-attempts is %d: must be at least 1", f.maxAttempts)
	}
	return f.dlqFlags.check()
}

// runReplay reads the dead letters twice: first to decide, which needs none of
// their bytes, then to write those that were chosen. So their number and size do
// not matter.
func runReplay(ctx context.Context, t terminal, f replayFlags) error {
	everything := f.dlqFlags
	everything.filter = letters.Filter{} // whether a letter is the newest shows in all of them
	all, err := collectLetters(ctx, t, everything)
	if err != nil {
		return err
	}
	decisions := letters.Decide(all, f.filter, letters.Limits{MaxAttempts: f.maxAttempts, DeadLetters: f.topic})
	if len(decisions) == 0 {
		return errNoLetter
	}
	r := &replay{terminal: t, flags: f, pending: letters.NewPending(decisions), skipped: make(map[letters.Refusal]int)}
	r.readOrigins(ctx)
	for _, d := range decisions {
		if d.Refusal != "" {
			r.skip(d)
		}
	}
	if f.dryRun {
		r.wouldWrite()
	} else {
		r.write(ctx)
	}
	return r.end()
}
