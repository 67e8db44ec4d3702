package usageeventexporter

import (
	"errors"
	"fmt"
	"io"

	"github.com/IBM/sarama"
	"github.com/eapache/go-resiliency/breaker"
)

// A publishError says which records one attempt did not get acknowledged.
type publishError struct {
	failed []record // to be sent again
	poison []poison // refused alone and for good
	total  int
	cause  error // of the first in failed, unless a later one tells more
	spent  bool  // the sarama producer would go on failing
}

// A poison record is one that Kafka will refuse as often as it is offered.
type poison struct {
	record
	reason string // of suspicion
	err    error
}

func (e *publishError) Error() string {
	return fmt.Sprintf("Kafka did not acknowledge %d of %d usage events: %v", len(e.failed)+len(e.poison), e.total, e.Unwrap())
}

func (e *publishError) Unwrap() error {
	if e.cause == nil && len(e.poison) > 0 {
		return e.poison[0].err
	}
	return e.cause
}

// none reports whether there is nothing that was not acknowledged.
func (e *publishError) none() bool { return len(e.failed)+len(e.poison) == 0 }

// fail adds records that were not acknowledged because of err.
func (e *publishError) fail(err error, records ...record) {
	e.failed = append(e.failed, records...)
	e.spent = e.spent || isSpent(err)
	if e.cause == nil || errors.Is(e.cause, breaker.ErrBreakerOpen) {
		e.cause = err
	}
}

// refuse adds a record that was refused alone.
func (e *publishError) refuse(r *record, reason string, err error) {
	err = fmt.Errorf("the event %s of instance %q is refused alone: %w", r.headerValue(headerEventID), r.key, withRemedy(err, r.topic))
	e.poison = append(e.poison, poison{*r, reason, err})
}

// keepPoison makes the poison records such as are sent again, with the others.
func (e *publishError) keepPoison() {
	for i := range e.poison {
		e.fail(e.poison[i].err, e.poison[i].record)
	}
	e.poison = nil
}

// sort takes err apart, which SendMessages returned for records, and returns
// those that it may have refused for what is in them, in their order. alone says
// that nothing else was sent with them.
func (e *publishError) sort(records []record, alone bool, err error) (suspects []record) {
	var each sarama.ProducerErrors
	if !errors.As(err, &each) {
		e.fail(err, records...)
		e.spent = true
		return nil
	}
	errs := make(map[*record]error, len(each))
	for _, pe := range each {
		errs[pe.Msg.Metadata.(*record)] = pe.Err
	}
	for i := range records {
		r := &records[i]
		err, failed := errs[r]
		if !failed {
			continue
		}
		switch reason, suspect := suspicion(err); {
		case !suspect:
			e.fail(withRemedy(err, r.topic), *r)
		case alone && len(records) == 1:
			e.refuse(r, reason, err)
		default:
			suspects = append(suspects, *r)
		}
	}
	return suspects
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
		return fmt.Errorf("the brokers reject auth::sasl: check mechanism, username and password, or the token: %w", err)
	case errors.Is(err, errTooLarge):
		return fmt.Errorf("raise producer::max_message_bytes, and max.message.bytes of topic %q: %w", topic, err)
	case errors.Is(err, sarama.ErrMessageSizeTooLarge):
		return fmt.Errorf("raise max.message.bytes of topic %q: %w", topic, err)
	case errors.Is(err, sarama.ErrMessageSetSizeTooLarge):
		return fmt.Errorf("raise segment.bytes of topic %q: %w", topic, err)
	default:
		return withSecurityRemedy(err)
	}
}
