package signing

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// How long a key is, in bytes.
const (
	MinKey = 24
	MaxKey = 64
	newKey = 32
)

// prefix is before the text of a secret.
const prefix = "whsec_"

// A Secret is the key that a sender and a receiver share. Printed or encoded as JSON it does not
// show itself. The zero one is none: it signs nothing, and nothing is of it.
type Secret struct {
	_ [0]func() // == would compare where keys are, and in a time that tells
	// A pointer, since fmt prints unexported fields of what a secret is in without asking
	// methods, and follows pointers to no string.
	key *string
}

func of(key []byte) Secret { return Secret{key: new(string(key))} }

// NewSecret returns a secret of 32 random bytes.
func NewSecret() (Secret, error) {
	var key [newKey]byte
	if _, err := rand.Read(key[:]); err != nil {
		return Secret{}, err
	}
	return of(key[:]), nil
}

// ParseSecret takes whsec_ and 24 to 64 bytes in base64, with padding or without. Its errors do not
// show the text.
func ParseSecret(text string) (Secret, error) {
	encoded, ok := strings.CutPrefix(text, prefix)
	if !ok {
		return Secret{}, errors.New("a secret begins with " + prefix)
	}
	key, err := base64.RawStdEncoding.Strict().DecodeString(strings.TrimRight(encoded, "="))
	// Decoders skip line breaks.
	if err != nil || encoded != base64.StdEncoding.EncodeToString(key) && encoded != base64.RawStdEncoding.EncodeToString(key) {
		return Secret{}, errors.New("what follows " + prefix + " is not base64 of the standard alphabet (RFC 4648, 4)")
	}
	if len(key) < MinKey || len(key) > MaxKey {
		return Secret{}, fmt.Errorf("a secret has %d to %d bytes, and this one has %d", MinKey, MaxKey, len(key))
	}
	return of(key), nil
}

// Reveal returns the text of the secret; "" for none.
func (s Secret) Reveal() string {
	if s.IsZero() {
		return ""
	}
	return prefix + base64.StdEncoding.EncodeToString([]byte(*s.key))
}

// IsZero reports whether it is none.
func (s Secret) IsZero() bool { return s.key == nil }

// Equal compares secrets in a time that does not depend on where they differ.
func (s Secret) Equal(o Secret) bool {
	if s.IsZero() || o.IsZero() {
		return s.IsZero() == o.IsZero()
	}
	return subtle.ConstantTimeCompare([]byte(*s.key), []byte(*o.key)) == 1
}

const redacted = prefix + "[REDACTED]"

// String does not show the secret.
func (Secret) String() string { return redacted }

// GoString does not show the secret.
func (Secret) GoString() string { return redacted }

// Format does not show the secret, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText does not show the secret.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
