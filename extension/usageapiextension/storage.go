package usageapiextension

import (
	"context"
	"fmt"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
)

// client returns a client of the configured storage, nil where none is configured.
func (e *usageAPI) client(ctx context.Context, host component.Host, name string) (storage.Client, error) {
	if e.cfg.Storage == nil {
		return nil, nil //nolint:nilnil // as said
	}
	id := *e.cfg.Storage
	extension, ok := host.GetExtensions()[id]
	if !ok {
		return nil, fmt.Errorf("storage is %q: there is no such extension; name one that is listed in service::extensions, such as file_storage", id)
	}
	provider, ok := extension.(storage.Extension)
	if !ok {
		return nil, fmt.Errorf("storage is %q: that extension stores nothing; name one such as file_storage", id)
	}
	client, err := provider.GetClient(ctx, component.KindExtension, e.set.ID, name)
	if err != nil {
		return nil, fmt.Errorf("storage %q cannot be opened: %w", id, err)
	}
	return client, nil
}
