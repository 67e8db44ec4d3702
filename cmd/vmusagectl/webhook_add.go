package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/render"
)

type webhookAdd struct {
	apiFlags
	events, instances, users, orgs, levels []string
	labels                                 map[string]string
	description, secretFile                string
}

func newWebhookAdd(t terminal) *cobra.Command {
	var o webhookAdd
	cmd := &cobra.Command{
		Use:   "add URL",
		Short: "Register a URL",
		Long: `Register a URL that events are sent to. Its secret, with which each request is signed,
goes to stdout, and is shown this once; without --secret-file it is made by the API.

It gets the events of the instances that the API key sees, and of these those that
all filters take.`,
		Example: `  vmusagectl webhook add https://example.com/hook --events resource_usage,threshold_violation > secret
  vmusagectl webhook add https://example.com/oncall --events threshold_violation --levels critical --labels tier=db`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, t, args[0]) },
	}
	f := cmd.Flags()
	o.add(f)
	f.StringSliceVar(&o.events, "events", nil, "`types` of events: resource_usage, threshold_violation, metrics, instance_lifecycle, pipeline_alert (required)")
	f.StringSliceVar(&o.instances, "instances", nil, "only those of instances with these `ids`")
	f.StringSliceVar(&o.users, "users", nil, "only those of instances of users with these `ids`")
	f.StringSliceVar(&o.orgs, "orgs", nil, "only those of instances of organizations with these `ids`")
	f.StringSliceVar(&o.levels, "levels", nil, "only violations of these `levels`: warning, critical")
	f.StringToStringVar(&o.labels, "labels", nil, "only those of instances with all of these labels, `key=value,...`")
	f.StringVar(&o.description, "description", "", "what it is for")
	f.StringVar(&o.secretFile, "secret-file", "", "a `file` with a secret of your own, whsec_...")
	return cmd
}

func (o *webhookAdd) run(cmd *cobra.Command, t terminal, url string) error {
	if len(o.events) == 0 {
		return usagef("--events is missing: write which events are sent, such as --events resource_usage")
	}
	filters := map[string]any{}
	for key, list := range map[string][]string{"instance_ids": o.instances, "user_ids": o.users, "org_ids": o.orgs, "levels": o.levels} {
		if len(list) > 0 {
			filters[key] = list
		}
	}
	if len(o.labels) > 0 {
		filters["labels"] = o.labels
	}
	in := map[string]any{"url": url, "event_types": o.events}
	if len(filters) > 0 {
		in["filters"] = filters
	}
	if o.description != "" {
		in["description"] = o.description
	}
	if o.secretFile != "" {
		text, err := os.ReadFile(o.secretFile)
		if err != nil {
			return usageError{fmt.Errorf("--secret-file: %w", err)}
		}
		in["secret"] = strings.TrimSpace(string(text))
	}
	c, err := o.client(t)
	if err != nil {
		return err
	}
	defer c.Close()
	var out struct {
		render.Webhook
		Secret string `json:"secret"`
	}
	if err := c.Do(cmd.Context(), http.MethodPost, webhooksPath, in, &out); err != nil {
		return err
	}
	t.say("webhook %s: %s is sent %s", out.ID, out.URL, strings.Join(out.EventTypes, ", "))
	if out.Secret == "" {
		return nil
	}
	t.say("its secret is shown this once:")
	return show(t, out.Secret+"\n")
}
