package usageeventexporter

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/IBM/sarama"
	"go.opentelemetry.io/collector/component"
	"go.uber.org/zap"
)

// security is what keeps others from reading along and from being taken for this
// client or for the brokers.
type security struct {
	cfg    *Config
	tokens tokenSource // nil: the mechanism has none
}

// newSecurity reads the files that cfg names, so that one that is missing or
// broken is said at start. Tokens are got when they are needed.
func newSecurity(ctx context.Context, cfg *Config, host component.Host, logger *zap.Logger) (*security, error) {
	s := &security{cfg: cfg}
	t, err := s.tlsConfig(ctx)
	if err != nil {
		return nil, err
	}
	if s.tokens, err = newTokenSource(ctx, cfg.Auth.SASL.Get(), cfg.Timeout, host); err != nil {
		return nil, err
	}
	for _, w := range s.warnings(t) {
		logger.Warn(w)
	}
	return s, nil
}

// tlsConfig reads the files of tls; nil is plain text. Each producer does it anew,
// so that after an authority or a certificate was exchanged, and connections
// failed for it, the next ones are right. A running producer's new connections
// follow a client certificate by tls::reload_interval.
func (s *security) tlsConfig(ctx context.Context) (*tls.Config, error) {
	c := s.cfg.TLS.Get()
	if c == nil {
		return nil, nil
	}
	t, err := c.LoadTLSConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return t, nil
}

// warnings says what others could make use of. t is nil for plain text.
func (s *security) warnings(t *tls.Config) []string {
	var out []string
	if sasl := s.cfg.Auth.SASL.Get(); sasl != nil {
		shown := map[string]string{sarama.SASLTypePlaintext: "the password", sarama.SASLTypeOAuth: "the token"}[sasl.Mechanism]
		if t == nil && shown != "" {
			out = append(out, "auth::sasl::mechanism is "+sasl.Mechanism+" without tls: whoever sees the network sees "+shown+"; set tls")
		}
		if c := sasl.ClientCredentials.Get(); c != nil && s.tokens != nil && strings.HasPrefix(strings.ToLower(c.TokenURL), "http://") {
			out = append(out, "auth::sasl::oauthbearer_client_credentials::token_url begins with http: whoever sees the network sees the client's secret; use https")
		}
	}
	if t != nil && t.InsecureSkipVerify {
		out = append(out, "tls::insecure_skip_verify is on: anybody between here and the brokers can take their place; set tls::ca_file instead")
	}
	return out
}

// noticed is told how an attempt failed.
func (s *security) noticed(err error) {
	if s.tokens != nil && errors.Is(err, sarama.ErrSASLAuthenticationFailed) {
		s.tokens.rejected()
	}
}

// withSecurityRemedy adds to an error of TLS or SASL what the operator can do
// about it.
func withSecurityRemedy(err error) error {
	remedy := ""
	var (
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
		host    x509.HostnameError
		remote  *net.OpError // an alert of TLS is in one
		record  tls.RecordHeaderError
	)
	switch {
	case errors.Is(err, sarama.ErrUnsupportedSASLMechanism):
		remedy = "the brokers do not offer auth::sasl::mechanism on this listener"
	case errors.As(err, &unknown):
		remedy = "tls::ca_file is not of the authority that signed the brokers' certificate"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		remedy = "the brokers' certificate is expired or not valid yet: renew it, or set the clock"
	case errors.As(err, &host):
		remedy = "the brokers' certificate is not of the name they are reached by: use such a name in brokers and advertised.listeners, or set tls::server_name_override"
	case errors.As(err, &remote) && remote.Op == "remote error":
		remedy = "the brokers end the TLS handshake: check tls::cert_file and key_file, and that their authority is one the brokers know"
	case errors.As(err, &record):
		remedy = "the brokers do not speak TLS on this port: use another, or remove tls"
	default:
		return err
	}
	return fmt.Errorf("%s: %w", remedy, err)
}
