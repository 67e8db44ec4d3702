package main

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/render"
)

// errNotDelivered is how a command ends whose event did not arrive; what came back was shown.
var errNotDelivered = errors.New("the test event was not taken")

func newWebhookTest(t terminal) *cobra.Command {
	var o apiFlags
	cmd := &cobra.Command{
		Use:   "test ID",
		Short: "Have a test event sent, and see what came back",
		Long: `Have an event of the type test sent to a webhook now, whatever else waits for it and
whether it is paused or disabled, and see the answer.

The exit status is 0 when it was taken, 1 when it was not.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.client(t)
			if err != nil {
				return err
			}
			defer c.Close()
			var out struct {
				State string `json:"state"`
				render.Attempt
			}
			if err := c.Do(cmd.Context(), http.MethodPost, webhookPath(args[0])+"/test", nil, &out); err != nil {
				return err
			}
			text := out.State + ": " + out.String() + "\n"
			if out.Excerpt != nil && *out.Excerpt != "" {
				text += "  " + render.Printable(*out.Excerpt) + "\n"
			}
			if err := show(t, text); err != nil {
				return err
			}
			if out.State != "delivered" {
				return errNotDelivered
			}
			return nil
		},
	}
	o.add(cmd.Flags())
	return cmd
}

func newWebhookResend(t terminal) *cobra.Command {
	var o apiFlags
	cmd := &cobra.Command{
		Use:     "resend ID NUMBER",
		Short:   "Have a delivery sent again",
		Long:    `Have a delivery sent once more, or without waiting for its next attempt. It has the same webhook-id.`,
		Example: `  vmusagectl webhook resend wh_2x7qk4 17`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := strconv.ParseUint(args[1], 10, 64); err != nil {
				return usagef("%q is no number of a delivery: 'webhook deliveries' shows them", args[1])
			}
			c, err := o.client(t)
			if err != nil {
				return err
			}
			defer c.Close()
			if err := c.Do(cmd.Context(), http.MethodPost, webhookPath(args[0])+"/deliveries/"+args[1]+"/resend", nil, nil); err != nil {
				return err
			}
			t.say("delivery %s of webhook %s is sent", args[1], args[0])
			return nil
		},
	}
	o.add(cmd.Flags())
	return cmd
}

func newWebhookStatus(t terminal, name, status string) *cobra.Command {
	var o apiFlags
	short := map[string]string{"pause": "Keep events for later", "resume": "Send again what was paused or disabled"}[name]
	long := map[string]string{
		"pause":  `Send nothing to a webhook until it is resumed. Its events wait, within bounds.`,
		"resume": `Send to a webhook again that was paused, or that was disabled because it failed for too long.`,
	}[name]
	cmd := &cobra.Command{
		Use: name + " ID", Short: short, Long: long,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.client(t)
			if err != nil {
				return err
			}
			defer c.Close()
			var h render.Webhook
			if err := c.Do(cmd.Context(), http.MethodPatch, webhookPath(args[0]), map[string]string{"status": status}, &h); err != nil {
				return err
			}
			t.say("webhook %s is %s; %d deliveries wait", h.ID, h.Status, h.Deliveries.Pending)
			return nil
		},
	}
	o.add(cmd.Flags())
	return cmd
}

func newWebhookRotate(t terminal) *cobra.Command {
	var o apiFlags
	var overlap time.Duration
	cmd := &cobra.Command{
		Use:   "rotate ID",
		Short: "Make a new secret, beside which the old one still signs for a while",
		Long: `Make a new secret for a webhook. It goes to stdout, and is shown this once. Each request
is signed with both for as long as the overlap, so that the receiver has time to take
over the new one.`,
		Example: `  vmusagectl webhook rotate wh_2x7qk4 --overlap 1h >> secrets`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := map[string]any{"rotate_secret": true}
			if cmd.Flags().Changed("overlap") {
				in["secret_overlap"] = overlap.String()
			}
			c, err := o.client(t)
			if err != nil {
				return err
			}
			defer c.Close()
			var out struct {
				ID     string `json:"id"`
				Secret string `json:"secret"`
			}
			if err := c.Do(cmd.Context(), http.MethodPatch, webhookPath(args[0]), in, &out); err != nil {
				return err
			}
			t.say("the new secret of webhook %s is shown this once:", out.ID)
			return show(t, out.Secret+"\n")
		},
	}
	o.add(cmd.Flags())
	cmd.Flags().DurationVar(&overlap, "overlap", 0, "for how long the old secret still signs, at most 168h (default: what the collector has, 24h)")
	return cmd
}

func newWebhookRemove(t terminal) *cobra.Command {
	var o apiFlags
	cmd := &cobra.Command{
		Use:   "rm ID",
		Short: "Remove a registration and what waits for it",
		Long:  `Remove a webhook. What waits for it is not sent any more.`,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.client(t)
			if err != nil {
				return err
			}
			defer c.Close()
			if err := c.Do(cmd.Context(), http.MethodDelete, webhookPath(args[0]), nil, nil); err != nil {
				return err
			}
			t.say("webhook %s is removed", args[0])
			return nil
		},
	}
	o.add(cmd.Flags())
	return cmd
}
