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
  check    see whether documents of rules are right, before a collector does`,
		Example: `  vmusagectl rules check rules.yaml`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRulesCheck(t))
	return cmd
}
