package usageeventexporter

import (
	"errors"
	"slices"

	"github.com/IBM/sarama"
	"github.com/eapache/go-resiliency/breaker"
)

// This file is the one place that decides what an error of a produce call means;
// what a code of Kafka means is in the table [codes]. What neither knows is worth
// a retry: nothing is given up on a guess.

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
func suspicion(err error) (reason string, suspect bool) {
	if code, ok := errors.AsType[sarama.KError](err); ok {
		reason = verdictOn(code).letter
		return reason, reason != ""
	}
	var config sarama.ConfigurationError // of a record there is no other than its size
	if errors.Is(err, errTooLarge) || errors.As(err, &config) {
		return reasonTooLarge, true
	}
	return "", false
}

// isAnswer reports whether err comes from a broker that serves, whatever it has
// against what it is asked. All else, a refused login too, is an outage.
func isAnswer(err error) bool {
	if errors.Is(err, breaker.ErrBreakerOpen) { // sarama's own, for a topic that it does not find
		return true
	}
	if code, ok := errors.AsType[sarama.KError](err); ok {
		return verdictOn(code).serves
	}
	_, suspect := suspicion(err)
	return suspect
}

// isSpent reports whether a new sarama producer would do better than the one that
// had err.
func isSpent(err error) bool {
	if slices.ContainsFunc(spentErrors, func(s error) bool { return errors.Is(err, s) }) {
		return true
	}
	code, ok := errors.AsType[sarama.KError](err)
	return ok && verdictOn(code).spent
}

var spentErrors = []error{
	// sarama's own breaker for a topic: for 10 s it hides what is wrong, and
	// goes on after it was mended.
	breaker.ErrBreakerOpen,
	// No broker of those it knows is left, or it gave up by itself.
	sarama.ErrOutOfBrokers, sarama.ErrClosedClient, sarama.ErrShuttingDown,
}
