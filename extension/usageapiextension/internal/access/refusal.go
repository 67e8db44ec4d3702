package access

// A Reason is why somebody was refused.
type Reason string

// The reasons.
const (
	Missing  Reason = "missing"        // no credentials
	Unknown  Reason = "unknown"        // credentials that are none
	Expired  Reason = "expired"        // a key whose time is over
	Revoked  Reason = "revoked"        // a key that was disabled
	Scope    Reason = "scope"          // not allowed to use the route
	Host     Reason = "host"           // another host was meant
	Address  Reason = "rate_address"   // too many requests from an address
	TooMany  Reason = "rate_principal" // too many requests of a principal
	Failures Reason = "rate_failures"  // too many failed logins from an address
)

// A refusal is why somebody is not known.
type refusal struct {
	reason Reason
	detail string // for the client
	cause  error  // for the log
}

func (r refusal) Error() string { return r.cause.Error() }

func (r refusal) Unwrap() error { return r.cause }

// unknown is the refusal of credentials that are none. Why is for the log only.
func unknown(cause error) refusal {
	return refusal{Unknown, "the credentials are not valid", cause}
}
