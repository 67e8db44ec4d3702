package host

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// A file is kept open and read from its beginning again and again, as proc(5)
// and sysfs allow. It is opened at the first read and anew after an error.
type file struct {
	path   string
	fd     int
	single bool // the kernel makes it in one piece: a read that does not fill the buffer is all of it
	open   bool
}

// maxFile bounds what is read of one file: far above what the largest machine has.
const maxFile = 16 << 20

// read returns the content, in buf where it fits. What it returns has the
// buffer to use next.
func (f *file) read(buf []byte) ([]byte, error) {
	buf = buf[:cap(buf)]
	n := 0
	for {
		if n == len(buf) {
			if n >= maxFile {
				return buf[:0], fmt.Errorf("%s has more than %d bytes", f.path, maxFile)
			}
			buf = append(buf, make([]byte, max(n, 4096))...)
			buf = buf[:cap(buf)]
		}
		k, err := f.pread(buf[n:], n)
		if err != nil {
			return buf[:0], err
		}
		n += k
		// Others come record by record, a page at most at a time: only an empty
		// read is their end.
		if k == 0 || f.single && n < len(buf) {
			return buf[:n], nil
		}
	}
}

// pread reads once at an offset. A descriptor that fails may be one of
// something that is gone, such as another process's files: it is tried anew.
func (f *file) pread(buf []byte, offset int) (int, error) {
	for {
		fresh := !f.open
		if fresh {
			fd, err := unix.Open(f.path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return 0, &fs.PathError{Op: "open", Path: f.path, Err: err}
			}
			f.fd, f.open = fd, true
		}
		n, err := unix.Pread(f.fd, buf, int64(offset))
		switch {
		case err == nil:
			return n, nil
		case errors.Is(err, unix.EINTR):
		default:
			f.close()
			if fresh || offset > 0 { // another file's rest does not continue this one
				return 0, &fs.PathError{Op: "read", Path: f.path, Err: err}
			}
		}
	}
}

func (f *file) close() {
	if f.open {
		_ = unix.Close(f.fd) // opened for reading: nothing can be lost
		f.open = false
	}
}
