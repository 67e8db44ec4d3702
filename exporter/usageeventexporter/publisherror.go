package usageeventexporter

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/IBM/sarama"
	"github.com/eapache/go-resiliency/breaker"
)

// A publishError says which records one attempt did not get acknowledged.
type publishError struct {
	failed []record
	total  int
	cause  error // of the first that failed, unless a later one tells more
	spent  bool  // the sarama producer would go on failing
}

func (e *publishError) Error() string {
	return fmt.Sprintf("Kafka did not acknowledge %d of %d usage events: %v", len(e.failed), e.total, e.cause)
}

func (e *publishError) Unwrap() error { return e.cause }

// newPublishError takes err apart, which SendMessages returned for records.
func newPublishError(records []record, err error) *publishError {
	p := &publishError{total: len(records), cause: err}
	var each sarama.ProducerErrors
	if !errors.As(err, &each) {
		p.failed, p.spent = records, true
		return p
	}
	p.failed = make([]record, 0, len(each))
	p.cause = nil
	for _, e := range each {
		p.failed = append(p.failed, *e.Msg.Metadata.(*record))
		if p.cause == nil || errors.Is(p.cause, breaker.ErrBreakerOpen) {
			p.cause = e.Err
		}
		p.spent = p.spent || isSpent(e.Err)
	}
	p.cause = withRemedy(p.cause, p.failed[0].topic)
	return p
}

// spentErrors are those after which a new sarama producer does better than the
// one that had them: it would answer from a state that no longer holds.
var spentErrors = []error{
	// sarama's own breaker for a topic: for 10 s it hides what is wrong, and
	// goes on after it was mended.
	breaker.ErrBreakerOpen,
	sarama.ErrUnknownTopicOrPartition,
	// No broker of those it knows is left, or it gave up by itself.
	sarama.ErrOutOfBrokers, sarama.ErrClosedClient, sarama.ErrShuttingDown,
	// Its id, epoch or sequence is not what the broker has: expired, or the
	// broker lost its data.
	sarama.ErrOutOfOrderSequenceNumber, sarama.ErrUnknownProducerID, sarama.ErrInvalidProducerEpoch,
	sarama.ErrInvalidProducerIDMapping, sarama.ErrProducerFenced,
}

func isSpent(err error) bool {
	return slices.ContainsFunc(spentErrors, func(s error) bool { return errors.Is(err, s) })
}

// withConnectRemedy adds to the error of a first connection what the operator
// can do about it.
func withConnectRemedy(err error, topic string) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the brokers closed the connection: check that tls and auth::sasl are what this listener wants: %w", err)
	}
	return withRemedy(err, topic)
}

// withRemedy adds to an error what the operator can do about it.
func withRemedy(err error, topic string) error {
	switch {
	case errors.Is(err, sarama.ErrUnknownTopicOrPartition):
		return fmt.Errorf("topic %q does not exist: create it, or set producer::allow_auto_topic_creation to true where the brokers create topics: %w", topic, err)
	case errors.Is(err, sarama.ErrTopicAuthorizationFailed):
		return fmt.Errorf("topic %q: allow this user to write and describe it: %w", topic, err)
	case errors.Is(err, sarama.ErrClusterAuthorizationFailed):
		return fmt.Errorf("allow this user IdempotentWrite on the cluster, or write on topic %q: %w", topic, err)
	case errors.Is(err, sarama.ErrSASLAuthenticationFailed):
		return fmt.Errorf("the brokers reject auth::sasl: check mechanism, username and password: %w", err)
	case errors.Is(err, sarama.ErrMessageSizeTooLarge):
		return fmt.Errorf("topic %q: an event or a batch is over the limit: raise max.message.bytes of the topic and producer::max_message_bytes: %w", topic, err)
	default:
		return err
	}
}
