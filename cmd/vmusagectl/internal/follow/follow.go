// Package follow reads a Kafka topic as it grows, without a consumer group, and
// waits for a broker or a topic that is not there yet.
package follow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// ErrStop is what a handler returns when it wants no further record.
var ErrStop = errors.New("stop")

// ErrIdle is what [Run] returns when nothing came for [Options.Idle].
var ErrIdle = errors.New("nothing came")

const (
	retryAfter  = 250 * time.Millisecond // between tries of what failed
	lookAgain   = 15 * time.Second       // between looks for partitions added to the topic
	dialTimeout = 5 * time.Second
)

// Options says what to read and what to tell on the way.
type Options struct {
	Brokers []string // host:port; at least one
	Topic   string

	// FromBeginning reads what is there first. Without it, reading starts at the
	// end that the topic has when it is first seen.
	FromBeginning bool
	// Idle ends the reading when no record came for so long, a broker that is
	// not there included. Zero waits for ever.
	Idle time.Duration
	// Drain, once closed, makes Run read up to the end that the topic then has
	// and return. May be nil.
	Drain <-chan struct{}

	// Ready is called once, when it is settled where the reading starts: every
	// record produced from then on is seen. May be nil.
	Ready func()
	// Notice takes lines for people: what is waited for, and that it is there.
	// One line for each change, not for each try. Calls may come from any
	// goroutine, one at a time. May be nil.
	Notice func(string)
}

// Run calls handle with every record, in the order of offsets within a
// partition, until the context is done, handle returns an error, Idle passed or
// Drain is reached. It returns nil after Drain and after a handler's [ErrStop],
// [ErrIdle], the context's error, or the handler's.
func Run(ctx context.Context, o Options, handle func(*kgo.Record) error) error {
	n := &notices{say: o.Notice}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(o.Brokers...),
		kgo.ClientID("vmusagectl"),
		kgo.DialTimeout(dialTimeout),
		kgo.RetryBackoffFn(func(int) time.Duration { return retryAfter }),
		kgo.RequestRetries(0),
		kgo.MetadataMinAge(retryAfter),
		kgo.FetchMaxWait(time.Second),
		kgo.KeepControlRecords(), // the end of a topic that is written in transactions is one of them
		kgo.DisableClientMetrics(),
		kgo.WithHooks(n),
	)
	if err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	defer client.Close()
	r := &reader{Options: o, client: client, notices: n, next: make(map[int32]int64), lastRecord: time.Now()}
	return r.run(ctx, handle)
}

// A reader is one run. It belongs to the goroutine that called [Run].
type reader struct {
	Options
	client  *kgo.Client
	notices *notices

	next       map[int32]int64 // by partition: the offset to read next
	ends       map[int32]int64 // by partition: where to stop; nil until Drain is closed
	lastRecord time.Time
	lastLook   time.Time
}

func (r *reader) run(ctx context.Context, handle func(*kgo.Record) error) error {
	if begun, err := r.begin(ctx); !begun || err != nil {
		return err
	}
	for {
		if r.reached() {
			return nil
		}
		fetches := r.poll(ctx)
		if err := ctx.Err(); err != nil {
			return err
		}
		for record := range fetches.RecordsAll() {
			r.lastRecord = time.Now()
			r.next[record.Partition] = record.Offset + 1
			if record.Attrs.IsControl() {
				continue
			}
			if err := handle(record); errors.Is(err, ErrStop) {
				return nil
			} else if err != nil {
				return err
			}
		}
		fetches.EachError(func(topic string, partition int32, err error) {
			if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
				r.notices.once(fmt.Sprintf("reading %s, partition %d: %v", topic, partition, err))
			}
		})
		if err := r.between(ctx); err != nil {
			return err
		}
	}
}

// poll waits for records, for Drain, or for the next thing to do.
func (r *reader) poll(ctx context.Context) kgo.Fetches {
	wake := r.lastLook.Add(lookAgain)
	if r.Idle > 0 {
		wake = earlier(wake, r.lastRecord.Add(r.Idle))
	}
	ctx, cancel := context.WithDeadline(ctx, wake)
	defer cancel()
	if r.ends == nil && r.Drain != nil {
		polled := make(chan struct{})
		defer close(polled)
		go func() {
			select {
			case <-r.Drain:
				cancel()
			case <-polled:
			}
		}()
	}
	return r.client.PollFetches(ctx)
}

// between does what is due between two polls.
func (r *reader) between(ctx context.Context) error {
	now := time.Now()
	if r.Idle > 0 && now.Sub(r.lastRecord) >= r.Idle {
		return ErrIdle
	}
	if r.ends == nil && closed(r.Drain) {
		ends, err := listOffsets(ctx, r.client, r.Topic, atEnd)
		if err != nil {
			return fmt.Errorf("find the end of %s: %w", r.Topic, err)
		}
		r.ends = ends
	}
	if now.Sub(r.lastLook) >= lookAgain {
		r.lastLook = now
		// A failure is no news: the connection's own notice has told it.
		if starts, err := listOffsets(ctx, r.client, r.Topic, atStart); err == nil {
			r.add(starts)
		}
	}
	return nil
}

// begin waits for the topic and settles where to start in it. It is false where
// Drain was closed before.
func (r *reader) begin(ctx context.Context) (begun bool, err error) {
	at := atEnd
	if r.FromBeginning {
		at = atStart
	}
	var idle <-chan time.Time
	if r.Idle > 0 {
		t := time.NewTimer(r.Idle)
		defer t.Stop()
		idle = t.C
	}
	retry := time.NewTicker(retryAfter)
	defer retry.Stop()
	for {
		offsets, err := listOffsets(ctx, r.client, r.Topic, at)
		if err == nil {
			r.notices.found()
			r.lastLook = time.Now()
			r.add(offsets)
			if r.Ready != nil {
				r.Ready()
			}
			return true, nil
		}
		if errors.Is(err, errNoTopic) {
			r.notices.waitFor(fmt.Sprintf("topic %s", r.Topic), err)
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-idle:
			return false, ErrIdle
		case <-r.Drain:
			return false, nil
		case <-retry.C:
		}
	}
}

// add begins to read the partitions that are not read yet.
func (r *reader) add(offsets map[int32]int64) {
	assign := make(map[int32]kgo.Offset)
	for partition, offset := range offsets {
		if _, known := r.next[partition]; !known {
			r.next[partition] = offset
			assign[partition] = kgo.NewOffset().At(offset)
		}
	}
	if len(assign) > 0 {
		r.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{r.Topic: assign})
	}
}

// reached reports whether everything up to the ends was handled.
func (r *reader) reached() bool {
	if r.ends == nil {
		return false
	}
	for partition, end := range r.ends {
		if r.next[partition] < end {
			return false
		}
	}
	return true
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
