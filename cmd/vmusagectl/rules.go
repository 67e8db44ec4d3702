package main

import "github.com/spf13/cobra"

func newRules(t terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "Work with threshold rules",
		Long: `Threshold rules say when somebody is to be warned of what an instance uses. The
threshold processor takes them from its configuration, a file, a server or the API.
Their format is in docs/thresholds.md.

With these commands you can
  check    see whether documents of rules are right, before a collector does
  test     see what they would have said of recorded metrics and events`,
		Example: `  vmusagectl rules check rules.yaml
  vmusagectl rules test rules.yaml --events metrics.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRulesCheck(t), newRulesTest(t))
	return cmd
}
