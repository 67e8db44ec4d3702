package usageeventexporter

import (
	"errors"
	"slices"

	"github.com/IBM/sarama"
	"github.com/eapache/go-resiliency/breaker"
)

// This file is the one place that decides what an error of a produce call means.
// What it does not know is worth a retry: nothing is given up on a guess.

// Why Kafka refuses a record for good: a closed set.
const (
	reasonTooLarge      = "message_too_large"
	reasonInvalidRecord = "invalid_record"
)

// errTooLarge is found before sarama sees the record: it would answer with a
// ConfigurationError, as if the configuration were at fault.
var errTooLarge = errors.New("larger than producer::max_message_bytes")

// suspicion returns the reason for which err may be about the record itself, and
// whether it may. It is proof only where the record was sent alone: a broker
// judges batches, and answers for all records of one alike.
//
// Not in here, though they refuse what is sent, because each is about all records
// and for the operator to mend: INVALID_TIMESTAMP (message.timestamp.*.max.ms of
// the topic, or a clock), UNSUPPORTED_COMPRESSION_TYPE and
// UNSUPPORTED_FOR_MESSAGE_FORMAT (the topic's format), POLICY_VIOLATION,
// authorization, quota. CORRUPT_MESSAGE is damage on the way.
func suspicion(err error) (reason string, suspect bool) {
	var config sarama.ConfigurationError
	switch {
	case errors.Is(err, errTooLarge),
		errors.Is(err, sarama.ErrMessageSizeTooLarge),
		errors.Is(err, sarama.ErrMessageSetSizeTooLarge),
		errors.As(err, &config): // of a record there is no other than its size
		return reasonTooLarge, true
	case errors.Is(err, sarama.ErrInvalidRecord):
		return reasonInvalidRecord, true
	default:
		return "", false
	}
}

// answers are the errors by which a broker that can be reached refuses what it is
// asked: for the operator to mend, or for another try, but no outage. All others,
// a refused login among them, are a Kafka that does not serve.
var answers = []error{
	sarama.ErrUnknownTopicOrPartition, sarama.ErrInvalidTopic,
	sarama.ErrTopicAuthorizationFailed, sarama.ErrClusterAuthorizationFailed,
	sarama.ErrPolicyViolation, sarama.ErrInvalidTimestamp, sarama.ErrInvalidMessage, sarama.ErrInvalidRequiredAcks,
	sarama.ErrUnsupportedForMessageFormat, sarama.ErrUnsupportedCompressionType,
	sarama.ErrOutOfOrderSequenceNumber, sarama.ErrUnknownProducerID, sarama.ErrInvalidProducerEpoch,
	sarama.ErrInvalidProducerIDMapping, sarama.ErrProducerFenced, sarama.ErrThrottlingQuotaExceeded,
	breaker.ErrBreakerOpen, // sarama's own, for a topic that it does not find
}

// isAnswer reports whether err comes from a broker that serves.
func isAnswer(err error) bool {
	_, suspect := suspicion(err)
	return suspect || isAny(err, answers)
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

func isSpent(err error) bool { return isAny(err, spentErrors) }

func isAny(err error, of []error) bool {
	return slices.ContainsFunc(of, func(s error) bool { return errors.Is(err, s) })
}
