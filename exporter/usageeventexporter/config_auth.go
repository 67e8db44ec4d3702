package usageeventexporter

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configtls"
)

// AuthConfig says who this client is.
type AuthConfig struct {
	SASL configoptional.Optional[SASLConfig] `mapstructure:"sasl"`
}

// String tells no secret, for the same reason as that of [SASLConfig].
func (AuthConfig) String() string { return "auth" }

// SASLConfig is a user and how the password is proven, or where a token comes from.
type SASLConfig struct {
	Mechanism string `mapstructure:"mechanism"` // PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER

	// Username and Password are for all mechanisms but OAUTHBEARER.
	Username string              `mapstructure:"username"`
	Password configopaque.String `mapstructure:"password"`

	// The rest is for OAUTHBEARER, which needs exactly one of the first three.

	// TokenFile holds a token that something else keeps fresh. It is read for
	// every connection.
	TokenFile string `mapstructure:"oauthbearer_token_file"`
	// TokenSource is an extension that gets tokens, such as oauth2client.
	TokenSource configoptional.Optional[component.ID] `mapstructure:"oauthbearer_token_source"`
	// ClientCredentials gets tokens from a token endpoint (RFC 6749, section 4.4).
	ClientCredentials configoptional.Optional[ClientCredentialsConfig] `mapstructure:"oauthbearer_client_credentials"`
	// Extensions go with every token (KIP-342), such as logicalCluster.
	Extensions map[string]string `mapstructure:"oauthbearer_extensions"`
}

// String tells no secret. Printed field by field it would: what is in an optional
// section is printed without asking it.
func (s SASLConfig) String() string { return "SASL " + s.Mechanism }

// ClientCredentialsConfig says how to get a token. The names are those of the
// collector's oauth2client extension.
type ClientCredentialsConfig struct {
	TokenURL         string              `mapstructure:"token_url"`
	ClientID         string              `mapstructure:"client_id"`
	ClientSecret     configopaque.String `mapstructure:"client_secret"`
	ClientSecretFile string              `mapstructure:"client_secret_file"` // read for every token
	Scopes           []string            `mapstructure:"scopes"`
	// EndpointParams are further parameters of the request, such as audience.
	// Some of them are secrets.
	EndpointParams map[string]configopaque.String `mapstructure:"endpoint_params"`
	// Timeout bounds one request for a token.
	Timeout time.Duration `mapstructure:"timeout"`
	// ExpiryBuffer is how long before its end a token is replaced, at most half of
	// its lifetime.
	ExpiryBuffer time.Duration          `mapstructure:"expiry_buffer"`
	TLS          configtls.ClientConfig `mapstructure:"tls"`
}

func newDefaultAuthConfig() AuthConfig {
	return AuthConfig{SASL: configoptional.Default(SASLConfig{
		ClientCredentials: configoptional.Default(ClientCredentialsConfig{
			Timeout: 5 * time.Second, ExpiryBuffer: 5 * time.Minute, TLS: configtls.NewDefaultClientConfig(),
		}),
	})}
}

var mechanisms = []string{sarama.SASLTypePlaintext, sarama.SASLTypeSCRAMSHA256, sarama.SASLTypeSCRAMSHA512, sarama.SASLTypeOAuth}

func (c *AuthConfig) validate() error {
	s := c.SASL.Get()
	switch {
	case s == nil:
		return nil
	case !slices.Contains(mechanisms, s.Mechanism):
		return fmt.Errorf("auth::sasl::mechanism is %q: use %s", s.Mechanism, strings.Join(mechanisms, ", "))
	case s.Mechanism == sarama.SASLTypeOAuth:
		return s.validateToken()
	default:
		return s.validatePassword()
	}
}

func (s *SASLConfig) validatePassword() error {
	var errs []error
	if s.Username == "" {
		errs = append(errs, errors.New("auth::sasl::username is empty: name the user, or remove auth::sasl"))
	}
	if s.Password == "" {
		errs = append(errs, errors.New("auth::sasl::password is empty: set it, as in ${env:KAFKA_PASSWORD}"))
	}
	if keys := s.tokenKeys(); len(keys) > 0 || len(s.Extensions) > 0 {
		if len(s.Extensions) > 0 {
			keys = append(keys, "oauthbearer_extensions")
		}
		errs = append(errs, fmt.Errorf("auth::sasl::%s is set and auth::sasl::mechanism %s: it is for OAUTHBEARER; remove it, or change the mechanism", strings.Join(keys, ", "), s.Mechanism))
	}
	return errors.Join(errs...)
}

// tokenKeys returns the keys that say where tokens come from.
func (s *SASLConfig) tokenKeys() []string {
	var keys []string
	if s.TokenFile != "" {
		keys = append(keys, "oauthbearer_token_file")
	}
	if s.TokenSource.HasValue() {
		keys = append(keys, "oauthbearer_token_source")
	}
	if s.ClientCredentials.HasValue() {
		keys = append(keys, "oauthbearer_client_credentials")
	}
	return keys
}

// What Kafka takes for an extension
// (org.apache.kafka.common.security.oauthbearer.internals.OAuthBearerClientInitialResponse).
var (
	extensionKey   = regexp.MustCompile(`^[A-Za-z]+$`)
	extensionValue = regexp.MustCompile(`^[\x21-\x7E \t\r\n]+$`)
)

func (s *SASLConfig) validateToken() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if s.Username != "" || s.Password != "" {
		fail("auth::sasl::username or password is set and auth::sasl::mechanism OAUTHBEARER: its token says who this is; remove them, or change the mechanism")
	}
	switch keys := s.tokenKeys(); len(keys) {
	case 0:
		fail("auth::sasl::mechanism is OAUTHBEARER and there is no token: set one of auth::sasl::oauthbearer_token_file, oauthbearer_token_source and oauthbearer_client_credentials")
	case 1:
	default:
		fail("auth::sasl has %s: keep one of them", strings.Join(keys, " and "))
	}
	for k, v := range s.Extensions {
		switch {
		case k == sarama.SASLExtKeyAuth || !extensionKey.MatchString(k):
			fail("auth::sasl::oauthbearer_extensions has the key %q: it must have letters only and not be auth", k)
		case !extensionValue.MatchString(v):
			fail("auth::sasl::oauthbearer_extensions::%s is %q: it must be printable ASCII and not be empty", k, v)
		}
	}
	if c := s.ClientCredentials.Get(); c != nil {
		errs = append(errs, c.validate())
	}
	return errors.Join(errs...)
}

func (c *ClientCredentialsConfig) validate() error {
	const here = "auth::sasl::oauthbearer_client_credentials::"
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(here+format, args...)) }
	if problem := checkTokenURL(c.TokenURL); problem != "" {
		fail("token_url %s: write it as https://login.example.com/oauth2/token", problem)
	}
	if c.ClientID == "" {
		fail("client_id is empty: set the id that the token endpoint knows")
	}
	switch {
	case c.ClientSecret == "" && c.ClientSecretFile == "":
		fail("client_secret is empty: set it, as in ${env:CLIENT_SECRET}, or client_secret_file")
	case c.ClientSecret != "" && c.ClientSecretFile != "":
		fail("client_secret and client_secret_file are both set: keep one of them")
	}
	for k := range c.EndpointParams {
		if slices.Contains([]string{"grant_type", "scope", "client_id", "client_secret"}, k) {
			fail("endpoint_params has %q, which is set already: remove it", k)
		}
	}
	if c.Timeout <= 0 {
		fail("timeout is %v: it must be a positive duration such as 5s", c.Timeout)
	}
	if c.ExpiryBuffer < 0 {
		fail("expiry_buffer is %v: it must be 0 or more, such as 5m", c.ExpiryBuffer)
	}
	return errors.Join(errs...)
}

// checkTokenURL says what is wrong with a URL, without what may be secret in it.
func checkTokenURL(s string) string {
	u, err := url.Parse(s)
	switch {
	case s == "":
		return "is empty"
	case err != nil:
		return "is no URL"
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "":
		return fmt.Sprintf("is %q, which has no scheme https or no host", u.Redacted())
	case u.User != nil:
		return "has a user in it, which would be shown in logs"
	}
	return ""
}
