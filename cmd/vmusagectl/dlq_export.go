package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/letters"
)

func newDLQExport(t terminal) *cobra.Command {
	var (
		f      dlqFlags
		output string
	)
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Save dead letters as JSON lines",
		Long: `Write each letter as one line of JSON: topic, partition, offset, timestamp, key,
headers in their order, and value. A key or value is a string, and where its bytes
are not UTF-8 it is in base64 under the name key_base64 or value_base64, so that
every byte can be had again.

A --output file is made anew, for its owner only; one that is there is not
overwritten. When the export fails, the file is removed.

The exit status is 0 when letters were written, 1 when there is none or not all
could be, 2 when it was called wrongly.`,
		Example: `  vmusagectl dlq export --output letters.jsonl
  vmusagectl dlq export | gzip > letters.jsonl.gz

  # the inputs that no event could be made of, as OTLP JSON
  vmusagectl dlq export --reason no_instance | jq -c '.value | fromjson'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("output") && output == "" {
				return usagef("--output is empty: name a file")
			}
			if err := f.check(); err != nil {
				return err
			}
			if output != "" {
				return exportFile(cmd.Context(), t.synced(), f, output)
			}
			_, err := export(cmd.Context(), t.synced(), f, t.out)
			return err
		},
	}
	f.add(cmd.Flags())
	f.addFilter(cmd.Flags())
	cmd.Flags().StringVar(&output, "output", "", "write to this new `file` (default: stdout)")
	return cmd
}

// exportFile leaves a whole file or none.
func exportFile(ctx context.Context, t terminal, f dlqFlags, name string) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	n, err := export(ctx, t, f, file)
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	t.say("%d letters are in %s", n, name)
	return nil
}

func export(ctx context.Context, t terminal, f dlqFlags, to io.Writer) (n int, err error) {
	w := bufio.NewWriter(to)
	err = readLetters(ctx, t, f, func(_ *letters.Letter, r *kgo.Record) error {
		line, err := letters.Line(r)
		if err != nil {
			return err
		}
		n++
		_, err = w.Write(line)
		return err
	})
	if err == nil && n == 0 {
		err = errNoLetter
	}
	return n, errors.Join(err, w.Flush())
}
