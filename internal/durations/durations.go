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
// returns an error for each whose text is no duration, or that is a list with such a
// text. Keys that are not there and other values are left to the decoder.
func Check(conf *confmap.Conf, keys ...string) error {
	var errs []error
	for _, key := range keys {
		switch value := conf.Get(key).(type) {
		case string:
			errs = append(errs, check(key, value))
		case []any:
			for i, item := range value {
				if text, ok := item.(string); ok {
					errs = append(errs, check(fmt.Sprintf("%s[%d]", key, i), text))
				}
			}
		}
	}
	return errors.Join(errs...)
}

func check(key, text string) error {
	if _, err := time.ParseDuration(text); err != nil {
		return fmt.Errorf("%s is %q: write a number and a unit, such as 500ms, 30s, 5m or 1h30m", key, text)
	}
	return nil
}
