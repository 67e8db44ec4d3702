package conservation

import (
	"context"
	"errors"

	"go.opentelemetry.io/collector/extension/xextension/storage"
)

// store is a storage whose batches fail as told.
type store struct {
	values map[string][]byte
	fail   bool // nothing of a batch is done
	lie    bool // all of it is, and an error is returned
	writes int
	bytes  int
}

func newStore() *store { return &store{values: map[string][]byte{}} }

var errDisk = errors.New("no space left on device")

func (s *store) Get(_ context.Context, key string) ([]byte, error) { return s.values[key], nil }

func (s *store) Batch(_ context.Context, ops ...*storage.Operation) error {
	if s.fail {
		return errDisk
	}
	for _, op := range ops {
		switch op.Type {
		case storage.Set:
			s.values[op.Key] = append([]byte(nil), op.Value...)
			s.bytes += len(op.Value)
		case storage.Delete:
			delete(s.values, op.Key)
		}
	}
	s.writes++
	if s.lie {
		return errDisk
	}
	return nil
}
