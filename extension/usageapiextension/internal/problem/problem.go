// Package problem is what a client is told when a request fails: problem details
// by RFC 9457, and what only the log is told beside them.
package problem

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// An Error says why a request fails. The client sees all of it but the cause, so
// none of the other fields may say what the client is not to know.
type Error struct {
	// Status is that of the answer, 400 to 599.
	Status int
	// Detail is for people: what is wrong, and what would be right.
	Detail string
	// Invalid are the places of the request that are wrong, where there are such.
	Invalid []Invalid
	// Header has what the answer says besides, such as Retry-After; nil for nothing.
	Header http.Header

	cause error
}

// Invalid is a place in a request, and what is wrong with it.
type Invalid struct {
	// Pointer is the place in the body, a JSON pointer as a fragment (RFC 6901, 6), such
	// as #/selector/user_id; "" where Parameter is the place, or the body as a whole.
	Pointer string `json:"pointer,omitempty"`
	// Parameter is the name of a parameter in query or path.
	Parameter string `json:"parameter,omitempty"`
	Detail    string `json:"detail"`
}

// New returns an error with a status and a detail.
func New(status int, format string, args ...any) *Error {
	return &Error{Status: status, Detail: fmt.Sprintf(format, args...)}
}

// NotFound returns the error of what does not exist. What the principal may not see
// gets the very same one.
func NotFound(what string) *Error {
	return New(http.StatusNotFound, "there is no such %s", what)
}

// BadParameter returns the error of one parameter of query or path.
func BadParameter(name, format string, args ...any) *Error {
	e := New(http.StatusBadRequest, "the parameter %s is not valid", name)
	e.Invalid = []Invalid{{Parameter: name, Detail: fmt.Sprintf(format, args...)}}
	return e
}

// Because notes the cause, which only the log is told, and returns e.
func (e *Error) Because(cause error) *Error {
	e.cause = cause
	return e
}

// With sets a header of the answer, and returns e.
func (e *Error) With(header, value string) *Error {
	if e.Header == nil {
		e.Header = http.Header{}
	}
	e.Header.Set(header, value)
	return e
}

// RetryAfter says after how long the request may succeed, in whole seconds and at
// least one, and returns e.
func (e *Error) RetryAfter(d time.Duration) *Error {
	return e.With("Retry-After", strconv.FormatInt(max(1, int64((d+time.Second-1)/time.Second)), 10))
}

// Error is for the log: it has the cause.
func (e *Error) Error() string {
	text := fmt.Sprintf("%d %s: %s", e.Status, http.StatusText(e.Status), e.Detail)
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap returns the cause, or nil.
func (e *Error) Unwrap() error { return e.cause }
