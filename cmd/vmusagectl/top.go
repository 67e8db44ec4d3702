package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/top"
)

const (
	shortestInterval = 200 * time.Millisecond
	mostInstances    = 100_000
)

// topFlags are what `vmusagectl top` is told.
type topFlags struct {
	api        apiFlags
	interval   time.Duration
	sort       string
	reverse    bool
	once, json bool

	user, org, name, level string
	labels                 []string
}

func newTop(t terminal) *cobra.Command {
	var f topFlags
	cmd := &cobra.Command{
		Use:   "top",
		Short: "See what instances use right now",
		Long: `See a live table of the instances that the API key sees: what they use, how old
that is, and the worst level of their threshold rules. Bytes are in units of 1024.

Rates are between the two last times at which an instance was read, so they are not
known at first, after a restart, and where a device came or went. What is not known
is -, or null in JSON. With --once it asks once and knows no rates; with --once and
--interval it asks twice, so far apart: take at least the collection interval.

Keys: c m d n g a s order by CPU, memory, disk, network, GPU, name or state, r turns
the order around, arrows, PgUp, PgDn, Home and End scroll, q ends it.`,
		Example: `  vmusagectl top --org acme --sort mem

  # the instances that violate a rule, for a script
  vmusagectl top --once --json --level warning | jq -r .[].id

  # with rates
  vmusagectl top --once --interval 10s`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, err := top.ParseKey(f.sort)
			if err != nil {
				return usageError{fmt.Errorf("--sort %w", err)}
			}
			filter, err := f.filter(cmd.Flags())
			if err != nil {
				return err
			}
			c, err := f.api.client(t)
			if err != nil {
				return err
			}
			defer c.Close()
			p := &top.Poller{API: c, Filter: filter, Health: !f.once, Most: mostInstances, Wait: top.Wait}
			if f.once {
				return f.runOnce(cmd.Context(), t, p, key, cmd.Flags().Changed("interval"))
			}
			return f.runLive(cmd.Context(), t, p, key, filter)
		},
	}
	f.api.add(cmd.Flags())
	f.add(cmd.Flags())
	return cmd
}

func (f *topFlags) add(flags *pflag.FlagSet) {
	flags.DurationVar(&f.interval, "interval", 2*time.Second, "ask each so often")
	flags.StringVar(&f.sort, "sort", "cpu", "order by `cpu|mem|disk|net|gpu|name|state`")
	flags.BoolVar(&f.reverse, "reverse", false, "turn the order around")
	flags.BoolVar(&f.once, "once", false, "print the table and exit")
	flags.BoolVar(&f.json, "json", false, "with --once: print a JSON array, an object for each instance")
	flags.StringVar(&f.user, "user", "", "only those of this user; empty for those without one")
	flags.StringVar(&f.org, "org", "", "only those of this organization; empty for those without one")
	flags.StringArrayVar(&f.labels, "label", nil, "only those with this label, `key=value`, or key for any value; may be given several times")
	flags.StringVar(&f.name, "name", "", "only those with a name like this `glob`, such as 'web-*'")
	flags.StringVar(&f.level, "level", "", "only those with a rule at this level or above: `ok|warning|critical`")
}

// filter returns the parameters of the API.
func (f *topFlags) filter(flags *pflag.FlagSet) (url.Values, error) {
	switch {
	case f.interval < shortestInterval:
		return nil, usagef("--interval is %s: it must be at least %s", f.interval, shortestInterval)
	case f.json && !f.once:
		return nil, usagef("--json goes with --once")
	}
	switch f.level {
	case "ok", "warning", "critical":
	default:
		if flags.Changed("level") {
			return nil, usagef("--level is %q: use ok, warning or critical", f.level)
		}
	}
	filter := url.Values{}
	for flag, parameter := range map[string]string{"user": "user", "org": "org", "name": "name", "level": "threshold"} {
		if flags.Changed(flag) {
			filter.Set(parameter, flags.Lookup(flag).Value.String())
		}
	}
	if len(f.labels) > 0 {
		filter["label"] = f.labels
	}
	return filter, nil
}

// runOnce prints what there is, with rates where it may ask twice.
func (f *topFlags) runOnce(ctx context.Context, t terminal, p *top.Poller, key top.Key, twice bool) error {
	var rates top.Tracker
	s, err := p.Poll(ctx)
	if err == nil && twice {
		rates.Next(s.Readings)
		if err = top.Wait(ctx, f.interval); err == nil {
			s, err = p.Poll(ctx)
		}
	}
	if err != nil {
		return err
	}
	rows := top.Rows(s, rates.Next(s.Readings))
	top.Sort(rows, key, f.reverse)
	if !f.json {
		return show(t, top.Table(rows, key, f.reverse, t.width(), t.color()))
	}
	if err := top.WriteJSON(t.out, rows); err != nil {
		return fmt.Errorf("show the instances: %w", err)
	}
	return nil
}
