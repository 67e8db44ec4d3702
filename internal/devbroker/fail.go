package devbroker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrStorage is the cause that [Broker.Err] gives when the data directory could
// not be written.
var ErrStorage = errors.New("the broker could not write its data and takes no more records")

// fail makes the broker refuse all records from now on. It runs on the broker's
// own goroutine, in the middle of the request that could not be stored.
//
// kfake notes the sequence number of an idempotent batch before it writes it. A
// retry of a batch whose write failed would look like a repeat and be
// acknowledged without being in the log. So no produce request is looked at
// after a failed write: connections that bring one are closed.
func (b *Broker) fail(cause error) {
	b.err = fmt.Errorf("%w: %w", ErrStorage, cause)
	close(b.failed)
	b.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		return nil, ErrStorage, true
	})
}

// Failed returns a channel that is closed when the data directory could not be
// written. The broker then serves what it has and takes no more records; it is
// to be closed, and started again when there is room.
func (b *Broker) Failed() <-chan struct{} { return b.failed }

// Err returns why the broker failed, nil as long as it did not.
func (b *Broker) Err() error {
	select {
	case <-b.failed:
		return b.err
	default:
		return nil
	}
}

// forgetSequences removes the sequence numbers saved by the stop of a broker
// that failed: they would make it take a retry for a repeat after the next start.
func forgetSequences(dir string) error {
	err := os.Remove(filepath.Join(dir, "seq_windows.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
