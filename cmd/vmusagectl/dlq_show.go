package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/follow"
	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/letters"
	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/render"
)

func newDLQShow(t terminal) *cobra.Command {
	var f dlqFlags
	cmd := &cobra.Command{
		Use:   "show PARTITION/OFFSET | EVENT-ID",
		Short: "Show all of one dead letter",
		Long: `Print everything of one letter: why and when it was dead-lettered, the headers, and
the value, laid out where it is JSON. The letter is named by where it is, as 'list'
prints it, or by its event; of several letters of an event the newest is shown.

What a terminal might obey, and what is not text, is replaced. For the very bytes
see 'export'.

The exit status is 0 when the letter was shown, 1 when there is none or the end of
the topic was not reached, 2 when it was called wrongly.`,
		Example: `  vmusagectl dlq show 0/17
  vmusagectl dlq show 5d0c8f0e-8a4c-5b43-9a52-1f3f2e1b7c11`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			wanted, err := parseWanted(args[0])
			if err != nil {
				return err
			}
			return runShow(cmd.Context(), t.synced(), f, wanted)
		},
	}
	f.add(cmd.Flags())
	return cmd
}

// wanted is the letter to show.
type wanted struct {
	at      *letters.Position // nil: by event
	eventID string
}

func parseWanted(s string) (wanted, error) {
	switch {
	case s == "":
		return wanted{}, usagef("which letter? name it by PARTITION/OFFSET or by its event id")
	case !strings.Contains(s, "/"):
		return wanted{eventID: s}, nil
	}
	at, err := letters.ParsePosition(s)
	if err != nil {
		return wanted{}, usageError{err}
	}
	return wanted{at: &at}, nil
}

func runShow(ctx context.Context, t terminal, f dlqFlags, w wanted) error {
	f.filter.EventID = w.eventID
	var (
		newest *letters.Letter
		record *kgo.Record
		others []letters.Position
	)
	err := readLetters(ctx, t, f, func(l *letters.Letter, r *kgo.Record) error {
		switch {
		case w.at != nil && l.Position == *w.at:
			newest, record = l, r
			return follow.ErrStop
		case w.at != nil:
			return nil
		case newest == nil:
			newest, record = l, r
		case l.Newer(newest):
			others = append(others, newest.Position)
			newest, record = l, r
		default:
			others = append(others, l.Position)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case newest == nil:
		return errNoLetter
	}
	if _, err := io.WriteString(t.out, render.Letter(newest, record, others)); err != nil {
		return fmt.Errorf("show the letter: %w", err)
	}
	return nil
}
