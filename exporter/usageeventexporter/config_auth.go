package usageeventexporter

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/IBM/sarama"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
)

// AuthConfig says who this client is.
type AuthConfig struct {
	SASL configoptional.Optional[SASLConfig] `mapstructure:"sasl"`
}

// SASLConfig is a user and how the password is proven.
type SASLConfig struct {
	Mechanism string              `mapstructure:"mechanism"` // PLAIN, SCRAM-SHA-256, SCRAM-SHA-512
	Username  string              `mapstructure:"username"`
	Password  configopaque.String `mapstructure:"password"`
}

func (c *AuthConfig) validate() error {
	s := c.SASL.Get()
	if s == nil {
		return nil
	}
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if mechanisms := []string{sarama.SASLTypePlaintext, sarama.SASLTypeSCRAMSHA256, sarama.SASLTypeSCRAMSHA512}; !slices.Contains(mechanisms, s.Mechanism) {
		fail("auth::sasl::mechanism is %q: use %s", s.Mechanism, strings.Join(mechanisms, ", "))
	}
	if s.Username == "" {
		fail("auth::sasl::username is empty: name the user, or remove auth::sasl")
	}
	if s.Password == "" {
		fail("auth::sasl::password is empty: set it, as in ${env:KAFKA_PASSWORD}")
	}
	return errors.Join(errs...)
}
