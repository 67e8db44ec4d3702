package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"

	"code.dny.dev/ssrf"
)

// What is said of requests that got no answer. A name that does not resolve, and one that
// resolves to an address of the operator's own, are not told from each other.
var (
	errAddress     = errors.New("the host name does not resolve, or to an address that is not allowed")
	errRefused     = errors.New("the connection was refused")
	errNoRoute     = errors.New("the host cannot be reached")
	errClosed      = errors.New("the connection was closed before there was an answer")
	errExpired     = errors.New("the certificate of the server has expired, or is not valid yet")
	errAuthority   = errors.New("the certificate of the server is of an authority that is not known")
	errOtherHost   = errors.New("the certificate of the server is for another host")
	errTLS         = errors.New("no TLS connection came about")
	errInterrupted = errors.New("it was interrupted")
	errOther       = errors.New("the connection was closed, or what came was not valid HTTP")
)

// failure says what it means that there was no answer.
func (c *Client) failure(err error) (Class, error) {
	var (
		dns       *net.DNSError
		invalid   x509.CertificateInvalidError
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		verify    *tls.CertificateVerificationError
		record    tls.RecordHeaderError
		alert     tls.AlertError
		op        *net.OpError
		timeout   net.Error
	)
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	switch {
	case is(ssrf.ErrProhibitedIP, ssrf.ErrProhibitedPort, ssrf.ErrProhibitedNetwork, ssrf.ErrInvalidHostPort):
		return Forbidden, errAddress
	case is(context.Canceled):
		return Unreachable, errInterrupted
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return Unreachable, errExpired
	case errors.As(err, &authority):
		return Unreachable, errAuthority
	case errors.As(err, &host):
		return Unreachable, errOtherHost
	case errors.As(err, &verify), errors.As(err, &record), errors.As(err, &alert),
		errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error"): // alerts, by crypto/tls
		return Unreachable, errTLS
	case is(context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return Unreachable, fmt.Errorf("there was no answer within %v", c.settings.Timeout)
	case errors.As(err, &dns):
		return Unreachable, errAddress
	case is(syscall.ECONNREFUSED):
		return Unreachable, errRefused
	case is(syscall.ENETUNREACH, syscall.EHOSTUNREACH):
		return Unreachable, errNoRoute
	case is(io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, net.ErrClosed):
		return Unreachable, errClosed
	default:
		return Unreachable, errOther
	}
}

// answered says what is wrong with an answer; nil where nothing is.
func answered(o Outcome) error {
	if o.Class == Delivered {
		return nil
	}
	text := http.StatusText(o.Status)
	if text == "" {
		text = "a status of its own"
	}
	if o.Status >= 300 && o.Status < 400 {
		return fmt.Errorf("it answered %d (%s): redirects are not followed, change the URL instead", o.Status, text)
	}
	return fmt.Errorf("it answered %d (%s)", o.Status, text)
}
