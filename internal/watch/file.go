// Package watch follows a file that operators change while the collector runs.
package watch

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

// File reads a path and looks for changes at intervals.
//
// It looks at the path rather than being told by the kernel: a ConfigMap is a
// link to a folder that is replaced, editors rename, and network file systems
// tell nothing.
type File struct {
	Path     string
	Interval time.Duration
	MaxBytes int64
	// Take uses the content. An error says that it cannot be used: it goes to Failed,
	// and the content is not offered again until it changes.
	Take func(content []byte) error
	// Failed is told, once until something else happens, why there is nothing to
	// take, with the path.
	Failed func(error)
	// Confirmed is told at each look that the content is still what was taken; nil
	// where nobody wants to know.
	Confirmed func()
}

// Run takes the content, and again when it changed and then stayed the same from one
// look to the next: a file that is being written is not taken by halves. It ends with
// ctx. Its functions are called from its own goroutine; one of Take and Failed before
// the first wait.
func (f *File) Run(ctx context.Context) {
	w := look{File: f}
	w.first()
	tick := time.NewTicker(f.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.again()
		}
	}
}

// look is what is known of the file.
type look struct {
	*File

	taken   stamp // of what was taken
	seen    stamp // at the last look
	content []byte
	failed  string // what was last told as an error
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

// first takes what is there at the start without waiting for a second look. A file
// that is written at that very moment is told as one that cannot be read yet.
func (w *look) first() {
	now, err := w.stamp()
	w.seen = now
	if err != nil {
		w.fail(err)
		return
	}
	if !w.take(now) {
		w.fail(errors.New("it is being written"))
	}
}

func (w *look) again() {
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

// take reports whether the content could be judged: not where it changed meanwhile.
func (w *look) take(now stamp) bool {
	content, err := w.read()
	if err != nil {
		w.fail(err)
		return true
	}
	if after, err := w.stamp(); err != nil || !after.same(now) {
		return false // written meanwhile: another look will tell
	}
	unchanged := w.content != nil && bytes.Equal(content, w.content)
	w.taken = now
	if unchanged && w.failed == "" {
		return true
	}
	w.content = content
	if err := w.Take(content); err != nil {
		w.fail(err)
		w.taken = now // as bad as it was, until it changes
		return true
	}
	w.failed = ""
	return true
}

func (w *look) read() ([]byte, error) {
	file, err := os.Open(w.Path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return ReadBounded(file, w.MaxBytes)
}

// fail tells an error once, until something else happens. What is at the path is
// then taken again, even if it is what was there before.
func (w *look) fail(err error) {
	w.taken = stamp{}
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathErr.Err
	}
	err = fmt.Errorf("%s: %w", w.Path, err)
	if w.failed == err.Error() {
		return
	}
	w.failed = err.Error()
	w.Failed(err)
}

// ReadBounded reads all of r, which must not be longer than limit.
func ReadBounded(r io.Reader, limit int64) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("the document has more than %d bytes", limit)
	}
	return content, nil
}
