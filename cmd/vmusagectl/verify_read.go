package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/verify"
)

// verifyTopic adds what a topic holds, up to the end that it has when it is
// first seen.
func verifyTopic(ctx context.Context, t terminal, f verifyFlags, v *verify.Verifier) error {
	return readTopic(ctx, t, topicFlags{f.brokers, f.topic, f.timeout}, func(r *kgo.Record) error {
		v.Add(r.Value, fmt.Sprintf("%s, partition %d, offset %d", r.Topic, r.Partition, r.Offset))
		return nil
	})
}

// maxLine is far above what a broker takes as one record by default, 1 MiB.
const maxLine = 64 << 20

// verifyFiles adds the lines of files.
func verifyFiles(ctx context.Context, names []string, stdin io.Reader, v *verify.Verifier) error {
	for _, name := range names {
		if name == "-" {
			// Ctrl-C in `vmusagectl tail --json | vmusagectl verify --file -` ends the
			// tail, and with it stdin: what came is then to be proven.
			if err := verifyLines(context.WithoutCancel(ctx), "stdin", stdin, v); err != nil {
				return err
			}
			continue
		}
		file, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("--file: %w", err)
		}
		err = verifyLines(ctx, name, file, v)
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
	return nil
}

func verifyLines(ctx context.Context, name string, from io.Reader, v *verify.Verifier) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	n := 0
	for lines.Scan() {
		n++
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%s, line %d: %w", name, n, err)
		}
		if line := bytes.TrimSpace(lines.Bytes()); len(line) > 0 {
			v.Add(line, name+", line "+strconv.Itoa(n))
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s, line %d: %w", name, n+1, err)
	}
	return nil
}
