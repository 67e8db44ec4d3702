package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// File reads a document from a path and looks for changes at intervals.
//
// It looks at the path rather than being told by the kernel: a ConfigMap is a
// link to a folder that is replaced, editors rename, and network file systems
// tell nothing.
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

// Run delivers the document, and again when it changed and then stayed the same
// from one look to the next: a file that is being written is not taken by halves.
func (f *File) Run(ctx context.Context, deliver Deliver) {
	w := fileWatch{File: f, deliver: deliver}
	w.first()
	tick := time.NewTicker(f.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.look()
		}
	}
}

// fileWatch is what is known of the file.
type fileWatch struct {
	*File
	deliver Deliver

	taken   stamp // of what was delivered
	seen    stamp // at the last look
	content []byte
	failed  string // what was last delivered as an error
}

// stamp tells one content of the path from another without reading it.
type stamp struct {
	size    int64
	changed time.Time
	file    fs.FileInfo
}

func (s stamp) same(o stamp) bool {
	if s.file == nil || o.file == nil {
		return s.file == nil && o.file == nil
	}
	return s.size == o.size && s.changed.Equal(o.changed) && os.SameFile(s.file, o.file)
}

func (f *File) stamp() (stamp, error) {
	info, err := os.Stat(f.Path)
	if err != nil {
		return stamp{}, err
	}
	return stamp{size: info.Size(), changed: info.ModTime(), file: info}, nil
}

// first takes what is there at the start without waiting for a second look.
func (w *fileWatch) first() {
	now, err := w.stamp()
	w.seen = now
	if err != nil {
		w.fail(err)
		return
	}
	w.take(now)
}

func (w *fileWatch) look() {
	now, err := w.stamp()
	settled := now.same(w.seen)
	w.seen = now
	switch {
	case err != nil && settled:
		w.fail(err)
	case err != nil || !settled:
		return
	case !now.same(w.taken):
		w.take(now)
	case w.failed == "" && w.Confirmed != nil:
		w.Confirmed()
	}
}

func (w *fileWatch) take(now stamp) {
	content, err := w.read()
	if err != nil {
		w.fail(err)
		return
	}
	if after, err := w.stamp(); err != nil || !after.same(now) {
		return // written meanwhile: another look will tell
	}
	unchanged := w.content != nil && bytes.Equal(content, w.content)
	w.taken = now
	if unchanged && w.failed == "" {
		return
	}
	rules, err := w.Parse(content)
	w.content = content
	if err != nil {
		w.fail(err)
		w.taken = now // as bad as it was, until it changes
		return
	}
	w.failed = ""
	w.deliver(Update{Rules: rules})
}

func (w *fileWatch) read() ([]byte, error) {
	file, err := os.Open(w.Path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readBounded(file, w.MaxBytes)
}

// fail delivers an error once, until something else happens. What is at the path
// is then taken again, even if it is what was there before.
func (w *fileWatch) fail(err error) {
	w.taken = stamp{}
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathErr.Err
	}
	err = fmt.Errorf("%s: %w", w.Path, err)
	if w.failed == err.Error() {
		return
	}
	w.failed = err.Error()
	w.deliver(Update{Err: err})
}

// readBounded reads all of r, which must not be longer than limit.
func readBounded(r io.Reader, limit int64) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("the document has more than %d bytes", limit)
	}
	return content, nil
}
