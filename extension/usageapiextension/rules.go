package usageapiextension

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/thresholds"
	"github.com/vmusage/otelcol-vmusage/internal/rulestore"
	"github.com/vmusage/otelcol-vmusage/internal/threshold"
	"github.com/vmusage/otelcol-vmusage/internal/wire"
)

const (
	// rulesStorage is the name of the storage client, so that rules lie apart.
	rulesStorage  = "thresholds"
	corruptPrefix = "corrupt/"
)

// ThresholdRules returns the rules that were written over the API, sorted by id, which
// nobody changes any more, and a channel that is closed when there are others. The
// threshold processor puts them into force. It may be called at any time after Start.
func (e *usageAPI) ThresholdRules() (rules []*threshold.Rule, changed <-chan struct{}) {
	return e.rules.ThresholdRules()
}

func (e *usageAPI) thresholds() *thresholds.API {
	return &thresholds.API{
		Store:          e.rules,
		Options:        e.cfg.Thresholds.options(),
		SelectorLabels: e.cfg.Thresholds.SelectorLabels,
		Respond:        e.api.Respond,
	}
}

// keep writes a value with rules, in one batch.
func (e *usageAPI) keep(ctx context.Context, key string, value []byte) error {
	if e.storage == nil { // in memory, as was said at Start
		return nil
	}
	// A client that goes away leaves no doubt whether its rule was written.
	err := e.storage.Batch(context.WithoutCancel(ctx), storage.SetOperation(key, value))
	e.health.Report("writing threshold rules", err)
	return err
}

// restore opens the storage and puts the rules in it into force.
func (e *usageAPI) restore(ctx context.Context, host component.Host) error {
	client, err := e.client(ctx, host, rulesStorage)
	if err != nil || client == nil {
		return err
	}
	if err := e.load(ctx, client); err != nil {
		return errors.Join(fmt.Errorf("storage %q: %w", e.cfg.Storage, err), client.Close(ctx))
	}
	e.storage = client
	return nil
}

// load reads the rules. What cannot be used is set aside and reported.
func (e *usageAPI) load(ctx context.Context, client storage.Client) error {
	keys := rulestore.Keys()
	ops := make([]*storage.Operation, len(keys))
	for i, key := range keys {
		ops[i] = storage.GetOperation(key)
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
	err := e.rules.Restore(values, e.cfg.Thresholds.options())
	if errors.Is(err, wire.ErrNewer) {
		return fmt.Errorf("%w: start that version again, or give the extension another storage", err)
	}
	if errors.Is(err, rulestore.ErrSet) {
		return err
	}
	aside := map[string]bool{}
	for _, bad := range valueErrors(err) {
		e.set.Logger.Error("threshold rules that were written over the API cannot be used; they are under corrupt/ in the storage, and not in force",
			zap.String("key", bad.Key), zap.Error(bad.Err))
		if aside[bad.Key] {
			continue
		}
		aside[bad.Key] = true
		e.telemetry.builder.ExtensionUsageAPIRulesDamaged.Add(ctx, 1)
		rest, err := e.rules.Value(bad.Key)
		if err != nil {
			return err
		}
		if err := client.Batch(ctx, storage.SetOperation(corruptPrefix+bad.Key, values[bad.Key]), storage.SetOperation(bad.Key, rest)); err != nil {
			return fmt.Errorf("set %s aside: %w", bad.Key, err)
		}
	}
	return nil
}

// valueErrors returns those that were joined.
func valueErrors(err error) []*rulestore.ValueError {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*rulestore.ValueError
		for _, e := range joined.Unwrap() {
			all = append(all, valueErrors(e)...)
		}
		return all
	}
	if bad, ok := errors.AsType[*rulestore.ValueError](err); ok {
		return []*rulestore.ValueError{bad}
	}
	return nil
}
