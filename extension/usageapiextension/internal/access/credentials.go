package access

import (
	"errors"
	"net/http"
	"strings"

	"github.com/vmusage/otelcol-vmusage/internal/apikey"
)

// KeyHeader is where an API key may be instead of in Authorization.
const KeyHeader = "X-Api-Key"

var (
	errAmbiguous = errors.New("there is more than one credential")
	errMalformed = errors.New("the credential is none")
)

// keyIn returns the API key that a header has, or "" where there is none and it may
// have another credential: one in Authorization that does not begin as keys do. A key
// in a header of its own counts beside such a one, which may be meant for a proxy.
func keyIn(h http.Header) (token string, err error) {
	own, bearer := h.Values(KeyHeader), bearerKeys(h.Values("Authorization"))
	switch len(own) + len(bearer) {
	case 0:
		return "", nil
	case 1:
		token = append(own, bearer...)[0]
	default:
		return "", errAmbiguous
	}
	if _, ok := apikey.IDOf(token); !ok {
		return "", errMalformed
	}
	return token, nil
}

// bearerKeys returns the bearer tokens of Authorization that begin as keys do.
func bearerKeys(authorization []string) (tokens []string) {
	for _, value := range authorization {
		scheme, token, _ := strings.Cut(value, " ")
		token = strings.TrimLeft(token, " ") // RFC 9110, 11.4: 1*SP
		if strings.EqualFold(scheme, "Bearer") && strings.HasPrefix(token, apikey.Prefix) {
			tokens = append(tokens, token)
		}
	}
	return tokens
}

// hasCredentials reports whether a header says who somebody is, in one of the usual ways.
func hasCredentials(h http.Header) bool {
	return len(h.Values("Authorization")) > 0 || len(h.Values(KeyHeader)) > 0
}
