package devbroker

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"
)

// brokerLog takes the broker's log. It passes warnings and errors on, keeps the
// errors of the stop, which the broker reports in no other way, and notices when
// something could not be stored.
type brokerLog struct {
	logf     func(format string, args ...any)
	unstored func(error) // called once, from the broker's own goroutine

	once sync.Once

	mu      sync.Mutex
	keeping bool
	errs    []error
}

// Logf implements [kfake.Logger].
func (l *brokerLog) Logf(level kfake.LogLevel, format string, args ...any) {
	if level > kfake.LogLevelWarn {
		return // requests and their details
	}
	if l.logf != nil {
		l.logf(format, args...)
	}
	// All that kfake fails to write while it runs is logged under this word, and
	// there is no other way to learn of it; a test sees to it that it stays so.
	if strings.HasPrefix(format, "persist ") {
		l.once.Do(func() { l.unstored(fmt.Errorf(format, args...)) })
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.keeping && level == kfake.LogLevelError {
		l.errs = append(l.errs, fmt.Errorf(format, args...))
	}
}

// collect makes the log keep errors from now on.
func (l *brokerLog) collect() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keeping = true
}

// collected returns the errors kept.
func (l *brokerLog) collected() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.errs...)
}
