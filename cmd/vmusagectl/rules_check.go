package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

func newRulesCheck(t terminal) *cobra.Command {
	var fleet bool
	cmd := &cobra.Command{
		Use:   "check FILE...",
		Short: "See whether documents of rules are right",
		Long: `Read documents of threshold rules, YAML or JSON, and print what is wrong with them,
a line for each problem:

  FILE:LINE: rules[2] "cpu-high": warning is -1: must not be negative

Each file is a document of its own, and - is stdin. Of a document that is right it
prints how many rules there are, and of what.

The exit status is 0 when all documents are right, 1 when one is not or cannot be
read, 2 when it was called wrongly.`,
		Example: `  vmusagectl rules check rules.yaml
  vmusagectl rules check --fleet quotas/*.yaml
  curl -s https://rules.example.com/all.json | vmusagectl rules check -`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			return checkRules(t, files, cmd.InOrStdin(), fleet)
		},
	}
	cmd.Flags().BoolVar(&fleet, "fleet", false, "allow rules per user and organization, as a processor with scope: fleet does")
	return cmd
}

func checkRules(t terminal, files []string, stdin io.Reader, fleet bool) error {
	wrong := 0
	for _, file := range files {
		data, err := readRules(file, stdin)
		if err != nil {
			t.say("vmusagectl: %v", err)
			wrong++
			continue
		}
		lines, ok := rulesReport(data, threshold.Options{Source: threshold.File, Fleet: fleet})
		if !ok {
			wrong++
		}
		for _, line := range lines {
			if _, err := fmt.Fprintln(t.out, file+":"+line); err != nil {
				return fmt.Errorf("show the report: %w", err)
			}
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d documents are not right", wrong, len(files))
	}
	return nil
}

func readRules(file string, stdin io.Reader) ([]byte, error) {
	in := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, threshold.MaxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return data, nil
}

// rulesReport returns what to print of a document after its name and a colon.
func rulesReport(data []byte, o threshold.Options) (lines []string, ok bool) {
	rules, err := threshold.Parse(data, o)
	if problems, is := errors.AsType[*threshold.DocumentError](err); is {
		for _, p := range problems.Problems {
			lines = append(lines, fmt.Sprintf("%d: %s", max(p.Line, 1), p.Message()))
		}
		if problems.More > 0 {
			lines = append(lines, fmt.Sprintf(" and %d more", problems.More))
		}
		return lines, false
	}
	if err == nil {
		_, err = threshold.Compile(rules)
	}
	if err != nil {
		return []string{"1: " + err.Error()}, false
	}
	return []string{" " + rulesSummary(rules)}, true
}

// rulesSummary says how many rules there are and of what, most first.
func rulesSummary(rules []*threshold.Rule) string {
	of := map[string]int{}
	disabled := 0
	for _, r := range rules {
		if !r.Enabled {
			disabled++
			continue
		}
		what := cmp.Or(string(r.Resource), r.Metric)
		if r.Window != threshold.WindowNone {
			what += " per " + string(r.Window)
		}
		of[what]++
	}
	text := fmt.Sprintf("%d rules", len(rules))
	if len(rules) == 1 {
		text = "1 rule"
	}
	whats := slices.SortedFunc(maps.Keys(of), func(a, b string) int {
		return cmp.Or(of[b]-of[a], cmp.Compare(a, b))
	})
	const most = 12
	var parts []string
	for i, what := range whats {
		if i == most {
			parts = append(parts, fmt.Sprintf("%d other kinds", len(whats)-most))
			break
		}
		parts = append(parts, fmt.Sprintf("%d %s", of[what], what))
	}
	if disabled > 0 {
		parts = append(parts, fmt.Sprintf("%d disabled", disabled))
	}
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	return text
}
