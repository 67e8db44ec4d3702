package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/vmusage/otelcol-vmusage/internal/apikey"
)

func readKeys(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	document, err := io.ReadAll(io.LimitReader(f, apikey.MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return document, nil
}

// changeKeys replaces a file with what change makes of it: all of it or nothing, and
// never beside somebody else who does the same. Where there is none and it may be new,
// change gets nil.
func changeKeys(path string, mayBeNew bool, change func(document []byte) ([]byte, error)) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // a link stays one
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close() // gives the lock back
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("somebody else is changing %s: try again: %w", path, err)
	}
	document, err := readKeys(path)
	if err != nil && (!mayBeNew || !errors.Is(err, fs.ErrNotExist)) {
		return err
	}
	isNew := err != nil
	next, err := change(document)
	if err != nil {
		if errors.Is(err, apikey.ErrNoKey) {
			return err
		}
		return fmt.Errorf("%s was not changed:\n%w", path, err)
	}
	if err := replaceFile(path, next, isNew); err != nil {
		return fmt.Errorf("%s was not changed: %w", path, err)
	}
	return dir.Sync()
}

// replaceFile writes beside a file and puts what it wrote in its place. A file that was
// there keeps its owner and its permissions.
func replaceFile(path string, content []byte, isNew bool) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if !isNew {
		if err := likeFile(f, path); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	if _, err := f.Write(content); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// likeFile gives f the owner and the permissions of a file.
func likeFile(f *os.File, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		if err := f.Chown(int(s.Uid), int(s.Gid)); err != nil {
			return fmt.Errorf("keep its owner: %w", err)
		}
	}
	return f.Chmod(info.Mode().Perm())
}
