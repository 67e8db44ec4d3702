package signing

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Tolerance is how far the clocks of sender and receiver may be apart: within it a request that
// somebody recorded could be sent again.
const Tolerance = 5 * time.Minute

// Why a request is not genuine.
var (
	ErrMissing   = errors.New("a header is missing")
	ErrID        = errors.New("the id has a full stop")
	ErrTimestamp = errors.New("the timestamp is not valid")
	ErrOld       = errors.New("the timestamp is too old")
	ErrEarly     = errors.New("the timestamp is of the future")
	ErrNoMatch   = errors.New("no signature is one of the secret")
)

// maxSignatures is how many are looked at.
const maxSignatures = 16

// Verify returns nil where a request with that header and body was signed with one of the
// secrets, at a time that is at most [Tolerance] from now; else one of the errors above.
func Verify(secrets []Secret, header http.Header, body []byte, now time.Time) error {
	id, stamp, signatures := header.Get(HeaderID), header.Get(HeaderTimestamp), header.Get(HeaderSignature)
	for _, h := range [...]struct{ name, value string }{{HeaderID, id}, {HeaderTimestamp, stamp}, {HeaderSignature, signatures}} {
		if h.value == "" {
			return fmt.Errorf("%w: %s", ErrMissing, h.name)
		}
	}
	if strings.Contains(id, ".") { // with which part of it could have been signed as the time
		return ErrID
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || strconv.FormatInt(seconds, 10) != stamp {
		return fmt.Errorf("%w: %q is not whole seconds", ErrTimestamp, stamp)
	}
	at := time.Unix(seconds, 0)
	switch age := now.Sub(at); {
	case age > Tolerance:
		return fmt.Errorf("%w: it is %v ago, at most %v", ErrOld, age.Round(time.Second), Tolerance)
	case age < -Tolerance:
		return fmt.Errorf("%w: by %v, at most %v", ErrEarly, -age.Round(time.Second), Tolerance)
	}
	n := 0
	for signature := range strings.FieldsSeq(signatures) {
		if n++; n > maxSignatures {
			break
		}
		encoded, ok := strings.CutPrefix(signature, version)
		if !ok {
			continue // of a version that others know
		}
		got, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			continue
		}
		for _, s := range secrets {
			var sum [sha256.Size]byte
			if !s.IsZero() && hmac.Equal(got, s.sum(sum[:0], id, at, body)) {
				return nil
			}
		}
	}
	return ErrNoMatch
}
