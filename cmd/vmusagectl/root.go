package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1 // it failed, or nothing came
	exitUsage  = 2 // it was called wrongly, and did nothing
)

var errNothingCame = errors.New("nothing came")

// A usageError is about the command line: nothing was done.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// run runs the command line until it is done or ctx is, and returns the exit
// status.
func run(ctx context.Context, t terminal, args []string) int {
	root := newRoot(t)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil || errors.Is(err, syscall.EPIPE) { // who read stdout has enough
		return exitOK
	}
	t.say("vmusagectl: %v", err)
	if _, usage := errors.AsType[usageError](err); usage {
		t.say("see '%s --help'", cmd.CommandPath())
		return exitUsage
	}
	return exitFailed
}

func newRoot(t terminal) *cobra.Command {
	root := &cobra.Command{
		Use:   "vmusagectl",
		Short: "Run and watch the metering of VM usage",
		Long: `vmusagectl belongs to otelcol-vmusage, an OpenTelemetry Collector that meters
what virtual machines use and puts one usage event per machine and period (30 s)
on a Kafka topic. From these events one can bill.

With it you can
  up       see all of it work on this machine: Kafka, collector and events
  broker   run only the Kafka, for a collector that you start yourself
  tail     read the events of any Kafka
  top      see what instances use right now, from the usage API
  verify   prove that the events are complete and add up
  dlq      look at the events that could not be written, and send them again
  rules    check threshold rules, and try them on what was recorded
  apikey   make and revoke keys of the usage API
  webhook  have events sent to a URL, and receive them`,
		Example: `  # meter this machine and watch; Ctrl-C ends it
  vmusagectl up

  # the same in parts, in three terminals
  vmusagectl broker
  otelcol-vmusage --config otelcol-config.yaml
  vmusagectl tail

  # is everything there, and is nothing counted twice?
  vmusagectl verify

  # did anything not get through?
  vmusagectl dlq list

  # the CPU seconds of the next ten events, as JSON
  vmusagectl tail --json --count 10 | jq .metrics.cpu_seconds`,
		Version:           version(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              cobra.NoArgs,
		DisableAutoGenTag: true,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(t.out)
	root.SetErr(t.err)
	root.SetVersionTemplate("vmusagectl {{.Version}}\n")
	root.AddCommand(newUp(t), newBroker(t), newTail(t), newVerify(t), newDLQ(t), newRules(t), newAPIKey(t), newWebhook(t), newTop(t))
	wrongUsage(root)
	return root
}

// wrongUsage makes errors of flags and arguments tell themselves from others.
func wrongUsage(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return usageError{err}
	})
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError{err}
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		wrongUsage(sub)
	}
}

// version is the module's version as the build noted it: a tag, or one derived
// from the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(unknown)"
	}
	return info.Main.Version
}
