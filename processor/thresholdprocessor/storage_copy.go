package thresholdprocessor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/vmusage/otelcol-vmusage/internal/wire"
	"github.com/vmusage/otelcol-vmusage/processor/thresholdprocessor/internal/source"
)

const keyDocument = "rules.http"

// copy returns where the document of a URL is kept, or nil.
func (s *store) copy(url string) source.Copy {
	if s.client == nil {
		return nil
	}
	return &documentCopy{s.client, sha256.Sum256([]byte(url))}
}

// A documentCopy is the last good document of a URL: the hash of the URL, which
// may hold a token, and the document.
type documentCopy struct {
	client storage.Client
	place  [sha256.Size]byte
}

// Load returns the document that was last saved; nil where that was of another
// URL. What is damaged is set aside.
func (d *documentCopy) Load(ctx context.Context) ([]byte, error) {
	value, err := d.client.Get(ctx, keyDocument)
	if err != nil || value == nil {
		return nil, err
	}
	payload, err := wire.Open(value, wire.KindDocument)
	switch {
	case errors.Is(err, wire.ErrNewer):
		return nil, err
	case err != nil:
		if aside := setAside(ctx, d.client, keyDocument, value); aside != nil {
			return nil, fmt.Errorf("%w; it could not be set aside: %w", err, aside)
		}
		return nil, fmt.Errorf("%w; it is under %s%s", err, corruptPrefix, keyDocument)
	}
	document, ours := bytes.CutPrefix(payload, d.place[:])
	if !ours {
		return nil, nil
	}
	return document, nil
}

// Save keeps a document.
func (d *documentCopy) Save(ctx context.Context, document []byte) error {
	b := append(wire.Begin(nil, wire.KindDocument), d.place[:]...)
	return d.client.Set(ctx, keyDocument, wire.Seal(append(b, document...)))
}
