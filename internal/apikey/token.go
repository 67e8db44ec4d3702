// Package apikey is the keys of the usage API: how one looks, what is kept of it,
// and the file in which that is.
//
// A key is vmu_<id>_<secret>. The secret has 256 bits from the system's random
// source, so that a plain SHA-256 of the key is enough to keep: there is nothing to
// guess, which is what slow hashes are against.
package apikey

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

const (
	// Prefix is what every key begins with, so that scanners for leaked secrets find it.
	Prefix = "vmu_"
	// MaxID is how long an id is at most, in bytes.
	MaxID = 32

	secretBytes = 32
	secretText  = 43 // of base64 without padding
	// MaxToken is how long a key is at most, in bytes.
	MaxToken = len(Prefix) + MaxID + 1 + secretText
)

// A Hash is what is kept of a key.
type Hash [sha256.Size]byte

// String returns it as the file has it.
func (h Hash) String() string { return hashPrefix + hex.EncodeToString(h[:]) }

const hashPrefix = "sha256:"

// HashOf returns the hash of a whole key, its id included.
func HashOf(token string) Hash { return sha256.Sum256([]byte(token)) }

// Equal compares in a time that does not depend on where two hashes differ.
func (h Hash) Equal(o Hash) bool { return subtle.ConstantTimeCompare(h[:], o[:]) == 1 }

// NewToken returns a key that nobody else has, with its id.
func NewToken() (id, token string) {
	secret := make([]byte, secretBytes)
	_, _ = rand.Read(secret) // never fails, see its documentation
	id = strings.ToLower(rand.Text()[:10])
	return id, Prefix + id + "_" + base64.RawURLEncoding.EncodeToString(secret)
}

// IDOf returns the id of what looks like a key, and whether it does.
func IDOf(token string) (id string, ok bool) {
	if len(token) > MaxToken {
		return "", false
	}
	rest, ok := strings.CutPrefix(token, Prefix)
	if !ok {
		return "", false
	}
	// The secret may have an underscore, the id has none.
	id, secret, ok := strings.Cut(rest, "_")
	if !ok || !validID(id) || len(secret) != secretText {
		return "", false
	}
	if _, err := base64.RawURLEncoding.Strict().DecodeString(secret); err != nil {
		return "", false
	}
	return id, true
}

func validID(id string) bool {
	if id == "" || len(id) > MaxID {
		return false
	}
	for i := range len(id) {
		if c := id[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
