package thresholdprocessor

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
	"github.com/vmusage/otelcol-vmusage/internal/wire"
)

// corruptPrefix is that of the keys of what was found damaged.
const corruptPrefix = "corrupt/"

// A store is what outlives the process; the zero value forgets everything.
type store struct {
	client storage.Client // nil in memory
}

// open opens the storage that is configured, and reads what it holds.
func (c *core) open(ctx context.Context, host component.Host) error {
	if c.cfg.Storage == nil {
		c.set.Logger.Warn("no storage is configured: what is known of violations and quotas is lost when the collector ends, so that violations are announced again and quotas begin anew; set storage to a storage extension such as file_storage")
		return nil
	}
	id := *c.cfg.Storage
	extension, ok := host.GetExtensions()[id]
	if !ok {
		return fmt.Errorf("storage is %q: there is no such extension; name one that is listed in service::extensions, such as file_storage", id)
	}
	provider, ok := extension.(storage.Extension)
	if !ok {
		return fmt.Errorf("storage is %q: that extension stores nothing; name one such as file_storage", id)
	}
	client, err := provider.GetClient(ctx, component.KindProcessor, c.set.ID, "")
	if err != nil {
		return fmt.Errorf("storage %q cannot be opened: %w", id, err)
	}
	if err := c.restore(ctx, client); err != nil {
		return errors.Join(fmt.Errorf("storage %q: %w", id, err), client.Close(ctx))
	}
	c.store.client = client
	return nil
}

// restore reads episodes and quotas. What cannot be used is set aside and
// reported; a newer format is an error.
func (c *core) restore(ctx context.Context, client storage.Client) error {
	keys := threshold.Keys()
	ops := make([]*storage.Operation, len(keys))
	for i, k := range keys {
		ops[i] = storage.GetOperation(k)
	}
	if err := client.Batch(ctx, ops...); err != nil {
		return err
	}
	values := map[string][]byte{}
	for _, op := range ops {
		if op.Value != nil {
			values[op.Key] = op.Value
		}
	}
	err := c.engine.Restore(values)
	if errors.Is(err, wire.ErrNewer) {
		return fmt.Errorf("%w: start that version again, or give the processor another storage", err)
	}
	for _, bad := range valueErrors(err) {
		c.set.Logger.Error("what was known of some violations and quotas cannot be used; it is under corrupt/, and they begin anew",
			zap.String("key", bad.Key), zap.Error(bad.Err))
		if err := setAside(ctx, client, bad.Key, values[bad.Key]); err != nil {
			// Metering is not held up for it: what is written next takes its place.
			c.set.Logger.Error("it could not be put under corrupt/", zap.String("key", bad.Key), zap.Error(err))
		}
	}
	return nil
}

func setAside(ctx context.Context, client storage.Client, key string, value []byte) error {
	return client.Batch(ctx, storage.SetOperation(corruptPrefix+key, value), storage.DeleteOperation(key))
}

func valueErrors(err error) []*threshold.ValueError {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*threshold.ValueError
		for _, e := range joined.Unwrap() {
			all = append(all, valueErrors(e)...)
		}
		return all
	}
	if bad, ok := errors.AsType[*threshold.ValueError](err); ok {
		return []*threshold.ValueError{bad}
	}
	return nil
}

// flush writes what changed. What cannot be written is written with the next
// change: usage is never refused for it.
func (c *core) flush(ctx context.Context) {
	client := c.store.client
	if client == nil {
		return
	}
	wrote := false
	err := c.engine.Flush(func(changes []threshold.Change) error {
		wrote = true
		ops := make([]*storage.Operation, len(changes))
		for i, ch := range changes {
			if ch.Value == nil {
				ops[i] = storage.DeleteOperation(ch.Key)
			} else {
				ops[i] = storage.SetOperation(ch.Key, ch.Value)
			}
		}
		return client.Batch(context.WithoutCancel(ctx), ops...)
	})
	if err != nil {
		c.telemetry.storageFailure(ctx)
	}
	if wrote {
		c.health.Report("storage", err)
	}
}

func (s *store) close(ctx context.Context) error {
	if s.client == nil {
		return nil
	}
	return s.client.Close(ctx)
}
