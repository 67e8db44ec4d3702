package usageeventexporter

import (
	"slices"

	"github.com/IBM/sarama"
)

// A verdict is what an error code of Kafka means for the records that were
// answered with it. The zero value: they are sent again, by the same producer,
// and Kafka does not serve.
type verdict struct {
	// letter is why such a record is dead-lettered once it was refused alone;
	// empty: it is sent again, for ever.
	letter string
	// serves: it is the answer of a broker that does its work; no outage.
	serves bool
	// spent: a new sarama producer does better than the one that had it, which
	// would answer from a state that no longer holds.
	spent bool
}

// judged is the verdict on some codes.
type judged struct {
	verdict
	why   string
	codes []sarama.KError
}

// codes has every error code that Kafka has, once. Only what is about the record
// itself is final: nothing is given up for what an operator can mend, or on a guess.
//
// DUPLICATE_SEQUENCE_NUMBER is not for us to judge: sarama takes it for the
// acknowledgement that it is, since the broker has the batch.
var codes = []judged{
	{
		verdict{letter: reasonTooLarge, serves: true},
		"the record is larger than max.message.bytes or segment.bytes of the topic, or the batch that it was in is",
		[]sarama.KError{sarama.ErrMessageSizeTooLarge, sarama.ErrMessageSetSizeTooLarge},
	},
	{
		verdict{letter: reasonInvalidRecord, serves: true},
		"the broker does not take the record, such as one without a key in a compacted topic, or another record of its batch",
		[]sarama.KError{sarama.ErrInvalidRecord},
	},
	{
		verdict{serves: true, spent: true},
		"id, epoch or sequence of the producer are not what the broker has: expired, or the broker lost its data",
		[]sarama.KError{
			sarama.ErrOutOfOrderSequenceNumber, sarama.ErrUnknownProducerID, sarama.ErrInvalidProducerEpoch,
			sarama.ErrInvalidProducerIDMapping, sarama.ErrProducerFenced, sarama.ErrDuplicateSequenceNumber,
		},
	},
	{
		verdict{serves: true, spent: true},
		"there is no such topic, or it is another by now: for the operator to create; sarama remembers for a while that it was not there",
		[]sarama.KError{sarama.ErrUnknownTopicOrPartition, unknownTopicID, inconsistentTopicID},
	},
	{
		verdict{serves: true},
		"rights, quotas, policies and settings of topic and cluster: about all records alike, and for the operator to mend. INVALID_TIMESTAMP is message.timestamp.*.max.ms, or a clock",
		[]sarama.KError{
			sarama.ErrTopicAuthorizationFailed, sarama.ErrClusterAuthorizationFailed, sarama.ErrTransactionalIDAuthorizationFailed,
			sarama.ErrThrottlingQuotaExceeded, sarama.ErrPolicyViolation, sarama.ErrInvalidTopic, sarama.ErrInvalidTimestamp,
			sarama.ErrInvalidRequiredAcks, sarama.ErrUnsupportedForMessageFormat, sarama.ErrUnsupportedCompressionType,
			sarama.ErrUnsupportedVersion, sarama.ErrInvalidConfig,
		},
	},
	{
		verdict{serves: true},
		"damage on the way",
		[]sarama.KError{sarama.ErrInvalidMessage},
	},
	{
		verdict{},
		"no leader, too few replicas, a broken disk, a broker that starts or stops: over by itself, or an outage",
		[]sarama.KError{
			sarama.ErrUnknown, sarama.ErrLeaderNotAvailable, sarama.ErrNotLeaderForPartition, sarama.ErrRequestTimedOut,
			sarama.ErrBrokerNotAvailable, sarama.ErrReplicaNotAvailable, sarama.ErrNetworkException, sarama.ErrStaleControllerEpochCode,
			sarama.ErrOffsetsLoadInProgress, sarama.ErrConsumerCoordinatorNotAvailable, sarama.ErrNotCoordinatorForConsumer,
			sarama.ErrNotEnoughReplicas, sarama.ErrNotEnoughReplicasAfterAppend, sarama.ErrNotController, sarama.ErrKafkaStorageError,
			sarama.ErrLogDirNotFound, sarama.ErrReassignmentInProgress, sarama.ErrListenerNotFound, sarama.ErrFencedLeaderEpoch,
			sarama.ErrUnknownLeaderEpoch, sarama.ErrStaleBrokerEpoch, sarama.ErrOffsetNotAvailable, sarama.ErrPreferredLeaderNotAvailable,
			sarama.ErrEligibleLeadersNotAvailable, newLeaderElected, rebootstrapRequired,
		},
	},
	{
		verdict{},
		"who this client is, is not accepted: for the operator to mend, and nothing works until then",
		[]sarama.KError{
			sarama.ErrUnsupportedSASLMechanism, sarama.ErrIllegalSASLState, sarama.ErrSecurityDisabled, sarama.ErrSASLAuthenticationFailed,
			sarama.ErrDelegationTokenAuthDisabled, sarama.ErrDelegationTokenNotFound, sarama.ErrDelegationTokenOwnerMismatch,
			sarama.ErrDelegationTokenRequestNotAllowed, sarama.ErrDelegationTokenAuthorizationFailed, sarama.ErrDelegationTokenExpired,
			sarama.ErrInvalidPrincipalType, unacceptableCredential, principalDeserializationFailure,
		},
	},
	{
		verdict{},
		"transactions, consumers, groups, administration, the brokers among themselves: no answer to what is asked here, so nothing is known by it",
		slices.Concat(
			[]sarama.KError{sarama.ErrOffsetOutOfRange, sarama.ErrInvalidMessageSize, sarama.ErrOffsetMetadataTooLarge},
			span(sarama.ErrIllegalGeneration, sarama.ErrInvalidCommitOffsetSize), []sarama.KError{sarama.ErrGroupAuthorizationFailed},
			span(sarama.ErrTopicAlreadyExists, sarama.ErrInvalidReplicaAssignment), []sarama.KError{sarama.ErrInvalidRequest, sarama.ErrInvalidTxnState},
			span(sarama.ErrInvalidTransactionTimeout, sarama.ErrTransactionCoordinatorFenced), []sarama.KError{sarama.ErrOperationNotAttempted},
			span(sarama.ErrNonEmptyGroup, sarama.ErrInvalidFetchSessionEpoch), []sarama.KError{sarama.ErrTopicDeletionDisabled, sarama.ErrMemberIdRequired},
			[]sarama.KError{sarama.ErrGroupMaxSizeReached, sarama.ErrFencedInstancedId},
			span(sarama.ErrElectionNotNeeded, sarama.ErrGroupSubscribedToTopic), []sarama.KError{sarama.ErrUnstableOffsetCommit},
			span(resourceNotFound, duplicateResource), span(inconsistentVoterSet, featureUpdateFailed), span(snapshotNotFound, positionOutOfRange),
			span(duplicateBrokerRegistration, brokerIDNotRegistered), span(inconsistentClusterID, ineligibleReplica),
			span(offsetMovedToTieredStorage, invalidRegularExpression), span(streamsInvalidTopology, lastCode),
		),
	},
}

// The codes that sarama has no name for.
const (
	resourceNotFound                sarama.KError = 91
	duplicateResource               sarama.KError = 92
	unacceptableCredential          sarama.KError = 93
	inconsistentVoterSet            sarama.KError = 94
	featureUpdateFailed             sarama.KError = 96
	principalDeserializationFailure sarama.KError = 97
	snapshotNotFound                sarama.KError = 98
	positionOutOfRange              sarama.KError = 99
	unknownTopicID                  sarama.KError = 100
	duplicateBrokerRegistration     sarama.KError = 101
	brokerIDNotRegistered           sarama.KError = 102
	inconsistentTopicID             sarama.KError = 103
	inconsistentClusterID           sarama.KError = 104
	ineligibleReplica               sarama.KError = 107
	newLeaderElected                sarama.KError = 108
	offsetMovedToTieredStorage      sarama.KError = 109
	invalidRegularExpression        sarama.KError = 128
	rebootstrapRequired             sarama.KError = 129
	streamsInvalidTopology          sarama.KError = 130
	// lastCode is CONTROLLER_ID_NOT_REGISTERED. Later ones are sent again, too.
	lastCode sarama.KError = 136
)

// span returns the codes from first to last.
func span(first, last sarama.KError) []sarama.KError {
	var out []sarama.KError
	for c := first; c <= last; c++ {
		out = append(out, c)
	}
	return out
}

// verdictOn returns what a code means. One that is not known is sent again.
func verdictOn(code sarama.KError) verdict {
	for i := range codes {
		if slices.Contains(codes[i].codes, code) {
			return codes[i].verdict
		}
	}
	return verdict{}
}
