package event

import (
	"errors"
	"fmt"
)

// Why a message is not an event that [Decode] can read. They are wrapped in a
// [DecodeError].
var (
	// ErrVersion: the event is of a major version that this package does not know.
	ErrVersion = errors.New("unsupported event version")
	// ErrType: it is an event, and of another type than the one asked for.
	ErrType = errors.New("unexpected event type")
	// ErrMalformed: it is no JSON, or a field is missing or has an impossible value.
	ErrMalformed = errors.New("malformed event")
)

// A DecodeError says what [Decode] found and where.
type DecodeError struct {
	Kind   error  // ErrVersion, ErrType or ErrMalformed
	Field  string // path of the field, as in "devices.disks[0].read_bytes"; empty where the message is no JSON object
	Detail string // what it is and what it should be
}

func (e *DecodeError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("%v: %s", e.Kind, e.Detail)
	}
	return fmt.Sprintf("%v: %s %s", e.Kind, e.Field, e.Detail)
}

// Unwrap returns Kind.
func (e *DecodeError) Unwrap() error { return e.Kind }

func malformed(field, format string, args ...any) *DecodeError {
	return &DecodeError{ErrMalformed, field, fmt.Sprintf(format, args...)}
}
