package signing

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"time"
)

// version is that of the signatures.
const version = "v1,"

// Sign appends the value of [HeaderSignature]: a signature for each secret. An id has no full
// stop, by which it would run into the time.
func Sign(dst []byte, secrets []Secret, id string, at time.Time, body []byte) []byte {
	var sum [sha256.Size]byte
	first := true
	for _, s := range secrets {
		if s.IsZero() {
			continue
		}
		if !first {
			dst = append(dst, ' ')
		}
		first = false
		dst = append(dst, version...)
		dst = base64.StdEncoding.AppendEncode(dst, s.sum(sum[:0], id, at, body))
	}
	return dst
}

// sum appends the HMAC of id.timestamp.body.
func (s Secret) sum(dst []byte, id string, at time.Time, body []byte) []byte {
	h := hmac.New(sha256.New, []byte(*s.key))
	buf := make([]byte, 0, 96)
	buf = append(append(buf, id...), '.')
	buf = append(strconv.AppendInt(buf, at.Unix(), 10), '.')
	h.Write(buf)
	h.Write(body)
	return h.Sum(dst)
}

// Legacy returns the value of [HeaderLegacy]: the HMAC-SHA256 of exactly the body, in hexadecimal
// digits, by the key's own bytes. There is one only: that of the secret which the receiver
// of the earlier service has, the newest.
func Legacy(s Secret, body []byte) string {
	if s.IsZero() {
		return ""
	}
	h := hmac.New(sha256.New, []byte(*s.key))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}
