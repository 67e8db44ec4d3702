package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/render"
	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/verify"
)

func newVerify(t terminal) *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Prove that the events are complete and add up",
		Long: `Read all usage events of a topic, up to the end that it has now, or of files, and
prove from them alone that a bill made of them is right. The events may be in any
order and come more than once: repeats are dropped by id, the rest is ordered by
stream and sequence. Then, for each stream,
  - no sequence is missing between the first and the last;
  - each period starts where the one before ended, and none follows a final one;
  - the totals of each event are those before plus its usage, to the unit, and
    the usage of disks, interfaces and GPUs is that of the devices;
  - ids are those of what they name, and no event came with two contents;
and no two streams of one instance bill the same time.

It prints a row for each instance: how many events, repeats, events with a gap
(something is not known) and with something recovered over an outage, and the
sums of usage. A sum includes the known part of events with a gap. Whatever is
not proven is a violation, named with its instance, stream, sequence and where it
is. A stream that does not begin at sequence 1 is a note only: the topic's
retention may have deleted the beginning. Events of version 1.0 have no streams
and are counted only.

A file has one event on each line, as 'vmusagectl tail --json' prints them.

The exit status is 0 when all is proven, 1 when there are violations or there was
nothing to prove, 2 when it was called wrongly.`,
		Example: `  vmusagectl verify
  vmusagectl verify --brokers kafka-1:9092,kafka-2:9092 --instance 6f1f9f4c-1d3c-4c43-9c6e-0d6c2f6a9b11
  vmusagectl tail --json --from-beginning --timeout 5s | vmusagectl verify --file -

  # the CPU time of every instance in us
  vmusagectl verify --json | jq -c '.instances[] | [.instance_id, .usage.cpu_time_us]'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(cmd.Flags().Changed); err != nil {
				return err
			}
			return runVerify(cmd.Context(), t.synced(), f, cmd.InOrStdin())
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.brokers, "brokers", []string{"127.0.0.1:9092"}, "Kafka brokers to start from, `host:port,...`")
	flags.StringVar(&f.topic, "topic", "usage_events", "`topic` to read")
	flags.StringArrayVar(&f.files, "file", nil, "read this `file` and no topic, - is stdin; may be given several times")
	flags.StringVar(&f.instance, "instance", "", "prove only the instance with this `id`")
	flags.BoolVar(&f.json, "json", false, "print one JSON document, with exact sums of all meters and with every stream")
	flags.DurationVar(&f.timeout, "timeout", 30*time.Second, "give up when nothing came from Kafka for so long; 0 waits for ever")
	return cmd
}

type verifyFlags struct {
	brokers  []string
	topic    string
	files    []string
	instance string
	json     bool
	timeout  time.Duration
}

func (f *verifyFlags) check(changed func(string) bool) error {
	for _, name := range []string{"brokers", "topic", "timeout"} {
		if changed("file") && changed(name) {
			return usagef("--file and --%s do not go together: events come from files or from a topic", name)
		}
	}
	if f.timeout < 0 {
		return usagef("--timeout is %s: must be 0, for no limit, or more", f.timeout)
	}
	return nil
}

var errNothingToProve = errors.New("nothing to prove: no usage event of version 1.1 or later came")

func runVerify(ctx context.Context, t terminal, f verifyFlags, stdin io.Reader) error {
	v := verify.New()
	v.Instance = f.instance
	read := verifyTopic
	if f.files != nil {
		read = func(ctx context.Context, _ terminal, f verifyFlags, v *verify.Verifier) error {
			return verifyFiles(ctx, f.files, stdin, v)
		}
	}
	if err := read(ctx, t, f, v); err != nil {
		return err
	}
	r := v.Report()
	err := showReport(t.out, r, f.json)
	switch {
	case err != nil && !errors.Is(err, syscall.EPIPE): // who had enough of the report still wants the verdict
		return fmt.Errorf("show the report: %w", err)
	case r.ViolationCount > 0:
		return fmt.Errorf("not proven: %d violations", r.ViolationCount)
	case r.Events == 0:
		return errNothingToProve
	default:
		return nil
	}
}

func showReport(w io.Writer, r *verify.Report, asJSON bool) error {
	if !asJSON {
		_, err := io.WriteString(w, render.Report(r))
		return err
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
