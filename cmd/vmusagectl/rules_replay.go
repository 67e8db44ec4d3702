package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/render"
	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/ruletest"
	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/threshold"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

func newRulesTest(t terminal) *cobra.Command {
	var f rulesTestFlags
	cmd := &cobra.Command{
		Use:   "test FILE --events FILE",
		Short: "See what rules would have said of recorded metrics and events",
		Long: `Hold what was recorded against the rules of a document, in the order of its times,
and print what the threshold processor would have announced: when (the time of the
data), which level, whether it fires or is over, the rule, of whom, the value, the
threshold, and since when. Then how much of what there was, and which rules matched
nobody or found nothing to measure.

What can be recorded, in one file or in several:
  usage events      one on each line, as 'vmusagectl tail --json' prints them and as
                    they are in Kafka, in CloudEvents or not. They must be of version
                    1.1 or later. Events of other types are passed over
  OTLP JSON         metrics, one batch on each line, as the collector's file exporter
                    writes them
  OTLP protobuf     the same with format: proto, without compression
- is stdin. Records of a file may be out of order by up to 32 MiB.

Events have amounts, with which rules with a window are checked. They have no
levels: with --levels avg or --levels max the averages or the maxima of each period
stand for CPU, memory, storage and GPU. What a processor finds in the levels
themselves, every ten seconds, may differ.

Episodes, quotas, rate limits and the period are those of a processor's defaults
that has just started.

With --json each announcement is one line, the threshold_violation event 1.1 that
would be in Kafka; the last line has the key summary.

The exit status is 0 when all was replayed, whatever fired; 1 when the rules are not
right, something could not be read, or there was nothing to replay; 2 when it was
called wrongly.`,
		Example: `  vmusagectl rules test rules.yaml --events metrics.json
  vmusagectl tail --json --from-beginning --timeout 5s | vmusagectl rules test rules.yaml --events - --levels avg
  vmusagectl rules test rules.yaml --events a.jsonl --events b.jsonl --from 2026-07-01T00:00:00Z --to 2026-08-01T00:00:00Z
  vmusagectl rules test rules.yaml --events metrics.json --json | jq -r 'select(.event_type) | .config.id'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.options()
			if err != nil {
				return err
			}
			if args[0] == "-" && slices.Contains(f.events, "-") {
				return usagef("the rules and --events are both -: only one of them can be stdin")
			}
			return testRules(cmd.Context(), t, args[0], f, o, cmd.InOrStdin())
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.events, "events", nil, "recorded metrics or events, a `file`, - is stdin; may be given several times")
	flags.StringVar(&f.from, "from", "", "replay only what is of this `time` (RFC 3339) or later")
	flags.StringVar(&f.to, "to", "", "replay only what is before this `time`, and let time go on until then")
	flags.DurationVar(&f.tick, "tick", 10*time.Second, "how often time is told while nothing comes, as a processor does; 0 is never")
	flags.StringVar(&f.levels, "levels", string(ruletest.LevelsNone), "what stands for the levels that events do not have: none, avg or max")
	flags.BoolVar(&f.json, "json", false, "print each announcement as one line of JSON, and the summary as the last")
	flags.BoolVar(&f.fleet, "fleet", false, "allow rules per user and organization, as a processor with scope: fleet does")
	return cmd
}

type rulesTestFlags struct {
	events           []string
	from, to, levels string
	tick             time.Duration
	json, fleet      bool
}

func (f *rulesTestFlags) options() (o ruletest.Options, err error) {
	if len(f.events) == 0 {
		return o, usagef("--events is missing: name a file of recorded metrics or events, or - for stdin")
	}
	for _, at := range []struct {
		flag, text string
		to         *int64
	}{{"from", f.from, &o.From}, {"to", f.to, &o.To}} {
		if at.text == "" {
			continue
		}
		when, err := time.Parse(time.RFC3339, at.text)
		if err != nil {
			return o, usagef("--%s is %q: must be a time such as 2026-07-01T00:00:00Z", at.flag, at.text)
		}
		if when.Year() < 1970 || when.Year() > 2255 {
			return o, usagef("--%s is %s: must be from 1970 to 2255", at.flag, at.text)
		}
		*at.to = when.UnixNano()
	}
	if o.To != 0 && o.To <= o.From {
		return o, usagef("--to is %s: must be after --from, which is %s", f.to, f.from)
	}
	if o.Tick = f.tick; f.tick < 0 {
		return o, usagef("--tick is %s: must be 0, for never, or more", f.tick)
	}
	if o.Levels, err = ruletest.ParseLevels(f.levels); err != nil {
		return o, usagef("--levels is %w", err)
	}
	return o, nil
}

var errNothingToReplay = errors.New("nothing to replay: there was no usage event of version 1.1 or later and no metric")

func testRules(ctx context.Context, t terminal, document string, f rulesTestFlags, o ruletest.Options, stdin io.Reader) error {
	set, err := loadRules(t, document, f.fleet, stdin)
	if err != nil {
		return err
	}
	show := newAnnouncements(t.out, f.json)
	const most = 10 // problems that are told one by one
	bad := 0
	o.Said = show.add
	o.Bad = func(err error) {
		if bad++; bad <= most {
			t.say("%v", err)
		}
	}
	r := ruletest.New(set, o)
	for _, name := range f.events {
		if name == "-" {
			err = r.Add("stdin", stdin)
		} else {
			var file *os.File
			if file, err = os.Open(name); err == nil {
				defer file.Close()
				err = r.Add(name, file)
			}
		}
		if err != nil {
			return fmt.Errorf("--events: %w", err)
		}
	}
	summary, err := r.Run(ctx)
	if err != nil {
		return err
	}
	if bad > most {
		t.say("and %d more", bad-most)
	}
	if err := show.end(summary); err != nil {
		return fmt.Errorf("show the summary: %w", err)
	}
	switch {
	case bad > 0:
		return fmt.Errorf("%d records could not be used", bad)
	case summary.Events+summary.Batches == 0:
		return errNothingToReplay
	default:
		return nil
	}
}

// loadRules says what is wrong with a document as rules check does.
func loadRules(t terminal, document string, fleet bool, stdin io.Reader) (*threshold.Set, error) {
	data, err := readRules(document, stdin)
	if err != nil {
		return nil, err
	}
	o := threshold.Options{Source: threshold.File, Fleet: fleet}
	rules, err := threshold.Parse(data, o)
	if err != nil {
		lines, _ := rulesReport(data, o)
		for _, line := range lines {
			t.say("%s:%s", document, line)
		}
		return nil, fmt.Errorf("%s: the rules are not right", document)
	}
	set, err := threshold.Compile(rules)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", document, err)
	}
	return set, nil
}

// announcements shows what was announced, and the summary.
type announcements struct {
	to    io.Writer
	json  bool
	table *render.Fired
	line  []byte
}

func newAnnouncements(to io.Writer, asJSON bool) *announcements {
	return &announcements{to: to, json: asJSON, table: render.NewFired(to)}
}

func (a *announcements) add(v *usage.Violation) error {
	if !a.json {
		return a.table.Add(v)
	}
	a.line = append(event.AppendViolation(a.line[:0], event.V1_1, v), '\n')
	_, err := a.to.Write(a.line)
	return err
}

func (a *announcements) end(s *ruletest.Summary) error {
	if !a.json {
		if err := a.table.Flush(); err != nil {
			return err
		}
		_, err := io.WriteString(a.to, render.Replayed(s))
		return err
	}
	e := json.NewEncoder(a.to)
	e.SetEscapeHTML(false)
	return e.Encode(map[string]*ruletest.Summary{"summary": s})
}
