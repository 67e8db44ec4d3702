package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/follow"
	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/letters"
	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/render"
)

// A replay does what was decided and says it. A letter is in pending until it is
// replayed, skipped or failed. It belongs to one goroutine.
type replay struct {
	terminal
	flags   replayFlags
	pending letters.Pending

	replayed, failed int
	skipped          map[letters.Refusal]int
	outErr           error // the first of out; what is to be written is written nevertheless
}

// readOrigins refuses what is in the origin topics, and fails what no one can
// tell of because a topic cannot be read. It keeps no ids but those it looks for.
func (r *replay) readOrigins(ctx context.Context) {
	for _, topic := range r.pending.Topics() {
		from := r.flags.topicFlags
		from.topic = topic
		err := readTopic(ctx, r.terminal, from, func(record *kgo.Record) error {
			if id := letters.EventID(record); id != "" {
				r.pending.Saw(topic, id, letters.Position{Partition: record.Partition, Offset: record.Offset})
			}
			return nil
		})
		if err == nil {
			continue
		}
		for _, d := range r.pending.TakeTopic(topic) {
			r.fail(d, fmt.Errorf("not written, because it may be there already: %w", err))
		}
	}
}

// write writes what is pending, in the order of the dead-letter topic.
func (r *replay) write(ctx context.Context) {
	if len(r.pending) == 0 {
		return
	}
	from := r.flags.topicFlags
	from.timeout *= 2 // a write that takes all of its own time is no silence of the reader's
	client, err := newReplayClient(from.brokers)
	if err == nil {
		defer client.Close()
		err = readTopic(ctx, r.terminal, from, func(record *kgo.Record) error {
			return r.writeOne(ctx, client, record)
		})
	}
	if err == nil {
		err = errors.New("it is not in the dead-letter topic any more")
	}
	for _, d := range r.pending.TakeAll() {
		r.fail(d, fmt.Errorf("not tried: %w", err))
	}
}

// writeOne writes a letter where it is pending. Its error ends the reading.
func (r *replay) writeOne(ctx context.Context, client *kgo.Client, record *kgo.Record) error {
	l := letters.Decode(record)
	d := r.pending.Take(l)
	if d == nil {
		return nil
	}
	if r.flags.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.flags.timeout)
		defer cancel()
	}
	written, err := client.ProduceSync(ctx, letters.Original(record, l)).First()
	_, answered := errors.AsType[*kerr.Error](err)
	switch {
	case err == nil:
		r.replayed++
		r.tell("replayed %s to %s, partition %d, offset %d", name(d), written.Topic, written.Partition, written.Offset)
	case answered: // the broker, about this record: it may take the others
		r.fail(d, err)
	default:
		r.fail(d, fmt.Errorf("no answer, it may be there or not: %w", err))
		return err
	}
	if len(r.pending) == 0 {
		return follow.ErrStop
	}
	return nil
}

// newReplayClient returns a producer with franz-go's defaults where they matter:
// acks all, idempotent.
func newReplayClient(brokers []string) (*kgo.Client, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(brokers...),
		kgo.ClientID("vmusagectl"),
		kgo.DialTimeout(5*time.Second),
		kgo.MetadataMinAge(250*time.Millisecond),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)), // murmur2, as the Java client
		// The broker is the judge of sizes: an event may be here because it was too
		// large, and the topic's limit raised since. There is one record to a batch.
		kgo.ProducerBatchMaxBytes(64<<20),
		// The first record that gets no answer is the last one sent, so no sequence
		// number is used after it.
		kgo.AllowIdempotentProduceCancellation(),
		kgo.DisableClientMetrics(),
	)
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	return client, nil
}

func (r *replay) wouldWrite() {
	for _, d := range r.pending.TakeAll() {
		r.replayed++
		r.tell("would replay %s to %s", name(d), d.Topic)
	}
}

func (r *replay) skip(d *letters.Decision) {
	r.skipped[d.Refusal]++
	r.tell("skipped %s, %s: %s", name(d), d.Refusal, d.Why)
}

func (r *replay) fail(d *letters.Decision, err error) {
	r.failed++
	r.say("%s", render.Printable(fmt.Sprintf("failed %s: %v", name(d), err)))
}

// end prints the sums, and returns the error that the command ends with.
func (r *replay) end() error {
	verb := "replayed"
	if r.flags.dryRun {
		verb = "would replay"
	}
	var why []string
	total := 0
	for _, refusal := range slices.Sorted(maps.Keys(r.skipped)) {
		total += r.skipped[refusal]
		why = append(why, fmt.Sprintf("%s %d", refusal, r.skipped[refusal]))
	}
	sums := fmt.Sprintf("%s %d, skipped %d", verb, r.replayed, total)
	if total > 0 {
		sums += " (" + strings.Join(why, ", ") + ")"
	}
	r.tell("%s, failed %d", sums, r.failed)
	if r.failed > 0 {
		return fmt.Errorf("%d letters could not be replayed", r.failed)
	}
	return r.outErr
}

func (r *replay) tell(format string, args ...any) {
	if r.outErr == nil {
		_, r.outErr = fmt.Fprintln(r.out, render.Printable(fmt.Sprintf(format, args...)))
	}
}

// name says which letter: where it is and its event.
func name(d *letters.Decision) string {
	if d.EventID == "" {
		return d.String()
	}
	return d.String() + " event " + d.EventID
}
