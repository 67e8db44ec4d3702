// Package durations says of configured durations what is wrong with them in the
// words of a user: the collector's own decoder leaves out the value.
package durations

import (
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/confmap"
)

// Check looks at the given keys of a section, nested ones written a::b, and
// returns an error for each whose text is no duration. Keys that are not there
// and values that are no text are left to the decoder.
func Check(conf *confmap.Conf, keys ...string) error {
	var errs []error
	for _, key := range keys {
		text, ok := conf.Get(key).(string)
		if !ok {
			continue
		}
		if _, err := time.ParseDuration(text); err != nil {
			errs = append(errs, fmt.Errorf("%s is %q: write a number and a unit, such as 500ms, 30s, 5m or 1h30m", key, text))
		}
	}
	return errors.Join(errs...)
}
