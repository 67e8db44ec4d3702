package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/letters"
)

func newDLQ(t terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dlq",
		Short: "Look at dead letters and send them again",
		Long: `What the collector could never get onto its topic, however often it tried, it puts
on the dead-letter topic: an event that the broker refuses for itself, or input
that no event can be made of. A dead letter has the record as it was, and headers
that say why (dlq-reason, dlq-error), where it was to go (dlq-topic) and how often
this happened (dlq-attempts).

With these commands you can
  list     see what there is, and of which reasons
  show     see all of one letter
  replay   write events to their topic again, when the cause is gone
  export   save letters as JSON lines, for a ticket or a bucket

Nothing is ever deleted from the topic: its retention does that. All of them read
the whole topic, up to the end that it has now, without a consumer group.`,
		Example: `  vmusagectl dlq list
  vmusagectl dlq show 0/17
  vmusagectl dlq replay --reason message_too_large --dry-run
  vmusagectl dlq export --output letters.jsonl`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDLQList(t), newDLQShow(t), newDLQReplay(t), newDLQExport(t))
	return cmd
}

// errNoLetter is how a command ends that found nothing to do.
var errNoLetter = errors.New("no such dead letter")

// dlqFlags are the flags of every command on dead letters.
type dlqFlags struct {
	topicFlags
	filter letters.Filter
}

func (f *dlqFlags) add(flags *pflag.FlagSet) {
	flags.StringSliceVar(&f.brokers, "brokers", []string{"127.0.0.1:9092"}, "Kafka brokers to start from, `host:port,...`")
	flags.StringVar(&f.topic, "topic", "usage_events_dlq", "dead-letter `topic`")
	flags.DurationVar(&f.timeout, "timeout", 30*time.Second, "give up when nothing came from Kafka for so long; 0 waits for ever")
}

func (f *dlqFlags) addFilter(flags *pflag.FlagSet) {
	flags.StringVar(&f.filter.Reason, "reason", "", "only letters with this `reason`, such as message_too_large")
	flags.StringVar(&f.filter.Instance, "instance", "", "only letters of the instance with this `id`")
	flags.StringVar(&f.filter.EventID, "event-id", "", "only letters of the event with this `id`")
}

// readLetters calls handle with the letters that the filter selects.
func readLetters(ctx context.Context, t terminal, f dlqFlags, handle func(*letters.Letter, *kgo.Record) error) error {
	return readTopic(ctx, t, f.topicFlags, func(r *kgo.Record) error {
		l := letters.Decode(r)
		if !f.filter.Match(l) {
			return nil
		}
		return handle(l, r)
	})
}

// collectLetters returns the letters that the filter selects, by position.
func collectLetters(ctx context.Context, t terminal, f dlqFlags) ([]*letters.Letter, error) {
	var all []*letters.Letter
	err := readLetters(ctx, t, f, func(l *letters.Letter, _ *kgo.Record) error {
		all = append(all, l)
		return nil
	})
	slices.SortFunc(all, func(a, b *letters.Letter) int { return a.Compare(b.Position) })
	return all, err
}
