package vmusagereceiver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"

	"github.com/vmusage/otelcol-vmusage/internal/wire"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/ledger"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/outbox"
)

// markerName is the second storage of the receiver, which tells state that was
// lost from state that never was.
const markerName = "installed"

// state is what outlives the process: the outbox and, as its checkpoint, the
// ledger.
type state struct {
	outbox *outbox.Outbox
	ledger *ledger.Ledger
	marker outbox.Store // nil in memory
	close  func(context.Context) error
}

// openState opens the storage that is configured, or keeps everything in memory.
func (v *vmUsage) openState(ctx context.Context, host component.Host, set ledger.Settings) (*state, error) {
	limits := outbox.Settings{
		MaxBytes: v.cfg.Outbox.MaxBytes, MaxAge: v.cfg.Outbox.MaxAge,
		Clock: func() time.Time { return wall(v.clock()) },
	}
	if v.cfg.Storage == nil {
		v.set.Logger.Warn("no storage is configured: usage that is not confirmed when the collector ends or crashes is lost, and metering begins anew; set storage to a storage extension such as file_storage")
		return &state{outbox: outbox.New(limits), ledger: ledger.New(set), close: func(context.Context) error { return nil }}, nil
	}
	client, err := v.storageClient(ctx, host, "")
	if err != nil {
		return nil, err
	}
	marker, err := v.storageClient(ctx, host, markerName)
	if err != nil {
		return nil, errors.Join(err, client.Close(ctx))
	}
	s := &state{marker: marker, close: func(ctx context.Context) error {
		return errors.Join(client.Close(ctx), marker.Close(ctx))
	}}
	if err := v.restore(ctx, s, client, limits, set); err != nil {
		return nil, errors.Join(fmt.Errorf("storage %s: %w", v.cfg.Storage, err), s.close(ctx))
	}
	return s, nil
}

func (v *vmUsage) storageClient(ctx context.Context, host component.Host, name string) (storage.Client, error) {
	id := *v.cfg.Storage
	extension, ok := host.GetExtensions()[id]
	if !ok {
		return nil, fmt.Errorf("storage is %q: there is no such extension; name one that is listed in service::extensions, such as file_storage", id)
	}
	provider, ok := extension.(storage.Extension)
	if !ok {
		return nil, fmt.Errorf("storage is %q: that extension stores nothing; name one such as file_storage", id)
	}
	client, err := provider.GetClient(ctx, component.KindReceiver, v.set.ID, name)
	if err != nil {
		return nil, fmt.Errorf("storage %q cannot be opened: %w", id, err)
	}
	return client, nil
}

// restore reads what the storage holds. What cannot be used is set aside and
// reported; a newer format is an error.
func (v *vmUsage) restore(ctx context.Context, s *state, client storage.Client, limits outbox.Settings, set ledger.Settings) error {
	box, found, err := outbox.Open(ctx, limits, client, s.marker)
	if err != nil {
		return err
	}
	restored := ledger.New(set) // to look into the shards before Lost is known
	var good [][]byte
	for _, shard := range found.Shards {
		err := restored.Restore(shard.Value)
		switch {
		case errors.Is(err, wire.ErrNewer):
			return fmt.Errorf("%s: %w: start that version again, or give vm_usage another storage", shard.Key, err)
		case err != nil:
			found.Damaged = append(found.Damaged, fmt.Errorf("%s: %w", shard.Key, err))
			if shard.Value != nil {
				if err := box.SetAside(ctx, shard.Key, shard.Value); err != nil {
					return fmt.Errorf("set %s aside: %w", shard.Key, err)
				}
			}
			set.Lost = true
		default:
			good = append(good, shard.Value)
		}
	}
	set.Lost = set.Lost || found.Lost
	s.outbox, s.ledger = box, ledger.New(set)
	for _, shard := range good {
		if err := s.ledger.Restore(shard); err != nil {
			return err
		}
	}
	v.tellRestored(ctx, s, found, set.Lost)
	return nil
}

func (v *vmUsage) tellRestored(ctx context.Context, s *state, found *outbox.Found, lost bool) {
	logger := v.set.Logger
	for _, err := range found.Damaged {
		logger.Error("a value of the storage cannot be used; what there was of it is under corrupt/", zap.Error(err))
	}
	v.telemetry.builder.ReceiverVMUsageStateDamaged.Add(ctx, int64(len(found.Damaged)))
	if lost {
		logger.Error("metering state was lost: the streams that begin now start with a gap, and what was used before is not known")
	}
	logger.Info("metering goes on from the storage", zap.Stringer("storage", v.cfg.Storage),
		zap.Int("instances", s.ledger.Instances()), zap.Int("unconfirmed_periods", s.outbox.State().Periods))
}
