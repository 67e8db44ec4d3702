package source

import (
	"context"
	"time"

	"github.com/vmusage/otelcol-vmusage/internal/watch"
)

// File reads a document from a path and looks for changes at intervals.
type File struct {
	Path     string
	Interval time.Duration
	MaxBytes int64
	Parse    Parse
	// Confirmed is told that the document is still what was delivered; nil where
	// nobody wants to know.
	Confirmed func()
}

// Name returns file.
func (*File) Name() string { return "file" }

// Run delivers the document, and again when it changed.
func (f *File) Run(ctx context.Context, deliver Deliver) {
	w := watch.File{
		Path: f.Path, Interval: f.Interval, MaxBytes: f.MaxBytes, Confirmed: f.Confirmed,
		Take: func(document []byte) error {
			rules, err := f.Parse(document)
			if err == nil {
				deliver(Update{Rules: rules})
			}
			return err
		},
		Failed: func(err error) { deliver(Update{Err: err}) },
	}
	w.Run(ctx)
}
