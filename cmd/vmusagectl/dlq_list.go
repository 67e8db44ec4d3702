package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/letters"
	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/render"
)

func newDLQList(t terminal) *cobra.Command {
	var (
		f      dlqFlags
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the dead letters",
		Long: `Print a row for each dead letter: where it is (partition/offset), when it was
dead-lettered (UTC), of which instance and event, why, how often this happened to
the event, and the bytes of its value; "900 of 2000000" is one that was cut. Then
how many there are of each reason. A "-" stands for what a letter does not say.

With --json every letter is one object on a line, without its value; see 'export'.

The exit status is 0 when there are letters, 1 when there is none or the end of
the topic was not reached, 2 when it was called wrongly.`,
		Example: `  vmusagectl dlq list
  vmusagectl dlq list --reason message_too_large --brokers kafka-1:9092,kafka-2:9092

  # how many letters has each instance?
  vmusagectl dlq list --json | jq -r .instance | sort | uniq -c`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			if asJSON {
				return listJSON(cmd.Context(), t.synced(), f)
			}
			return listTable(cmd.Context(), t.synced(), f)
		},
	}
	f.add(cmd.Flags())
	f.addFilter(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print each letter as one line of JSON, in the order that they are read in")
	return cmd
}

func listTable(ctx context.Context, t terminal, f dlqFlags) error {
	all, err := collectLetters(ctx, t, f)
	switch {
	case err != nil:
		return err
	case len(all) == 0:
		return errNoLetter
	}
	if _, err := io.WriteString(t.out, render.Letters(all)); err != nil {
		return fmt.Errorf("show the letters: %w", err)
	}
	return nil
}

func listJSON(ctx context.Context, t terminal, f dlqFlags) error {
	e := json.NewEncoder(t.out)
	e.SetEscapeHTML(false)
	found := false
	err := readLetters(ctx, t, f, func(l *letters.Letter, _ *kgo.Record) error {
		found = true
		return e.Encode(l)
	})
	if err == nil && !found {
		return errNoLetter
	}
	return err
}
