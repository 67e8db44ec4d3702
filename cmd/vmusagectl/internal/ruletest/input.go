package ruletest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxRecord is far above what a broker takes as one record by default, 1 MiB, and
// above what a collector writes as one batch.
const maxRecord = 64 << 20

// An input is a file of records: lines of JSON, or batches in protobuf, each after
// its length in four bytes, big endian, as the collector's file exporter writes them.
//
// https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/exporter/fileexporter
type input struct {
	name   string
	from   *bufio.Reader
	lines  *bufio.Scanner // nil where it is frames
	place  int            // of the record that was read last, from 1
	offset int64          // of frames: where the next one begins
	newest int64          // of all that was read, unix ns
}

// newInput reads the first byte, which tells JSON from protobuf: a length that
// begins with anything but 0 is above maxRecord.
func newInput(name string, from io.Reader) (*input, error) {
	in := &input{name: name, from: bufio.NewReaderSize(from, 64<<10)}
	first, err := in.from.Peek(1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(first) == 0 || first[0] > maxRecord>>24 {
		in.lines = bufio.NewScanner(in.from)
		in.lines.Buffer(make([]byte, 0, 64<<10), maxRecord)
	}
	return in, nil
}

// where says which record was read last.
func (in *input) where() string {
	if in.lines != nil {
		return fmt.Sprintf("%s:%d", in.name, in.place)
	}
	return fmt.Sprintf("%s, batch %d", in.name, in.place)
}

// next returns the next record. What is wrong with one record is a [recordError],
// after which the next can be read; any other error ends the input, the last of
// all io.EOF.
func (in *input) next() (*record, error) {
	if in.lines == nil {
		return in.frame()
	}
	for in.lines.Scan() {
		in.place++
		if line := bytes.TrimSpace(in.lines.Bytes()); len(line) > 0 {
			return in.read(decodeLine(line))
		}
	}
	if err := in.lines.Err(); err != nil {
		in.place++
		return nil, fmt.Errorf("%s: %w", in.where(), err)
	}
	return nil, io.EOF
}

func (in *input) frame() (*record, error) {
	var head [4]byte
	if _, err := io.ReadFull(in.from, head[:]); errors.Is(err, io.EOF) {
		return nil, io.EOF
	} else if err != nil {
		return nil, in.torn(err)
	}
	length := int64(binary.BigEndian.Uint32(head[:]))
	if length > maxRecord {
		return nil, fmt.Errorf("%s, at byte %d: a batch of %d bytes, at most %d: is it protobuf that the file exporter wrote, without compression?",
			in.name, in.offset, length, maxRecord)
	}
	var frame bytes.Buffer // grows with what is there, not with what a length says
	if _, err := io.CopyN(&frame, in.from, length); err != nil {
		return nil, in.torn(err)
	}
	in.place++
	in.offset += int64(len(head)) + length
	return in.read(decodeFrame(frame.Bytes()))
}

// torn is the error of a batch that cannot be read to its end.
func (in *input) torn(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the file ends within a batch")
	}
	return fmt.Errorf("%s, at byte %d: %w", in.name, in.offset, err)
}

func (in *input) read(r *record, err error) (*record, error) {
	if err != nil {
		return nil, &recordError{in.where(), err}
	}
	in.newest = max(in.newest, r.at)
	return r, nil
}

// A recordError is of one record, whose place it knows.
type recordError struct {
	where string
	err   error
}

func (e *recordError) Error() string { return e.where + ": " + e.err.Error() }
func (e *recordError) Unwrap() error { return e.err }
