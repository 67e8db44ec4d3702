package main

import (
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"
)

func newWebhook(t terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "webhook",
		Short: "Have events sent to a URL, and receive them",
		Long: `The usage API sends events to URLs that are registered with it: usage, violations of
thresholds, levels, what becomes of instances, and alerts about metering itself. Each
request is signed by Standard Webhooks.

With these commands you can
  listen      receive events on this machine, verify and print them
  add         register a URL
  list        see what is registered
  test        have a test event sent, and see what came back
  deliveries  see what was sent, and how it went
  resend      have a delivery sent again
  pause       keep events for later
  resume      send again what was paused or disabled
  rotate      make a new secret, beside which the old one still signs for a while
  rm          remove a registration and what waits for it`,
		Example: `  vmusagectl webhook listen --secret-file secret
  vmusagectl webhook add https://example.com/hook --events threshold_violation
  vmusagectl webhook test wh_2x7qk4`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newWebhookListen(t), newWebhookAdd(t), newWebhookList(t), newWebhookTest(t), newWebhookDeliveries(t),
		newWebhookResend(t), newWebhookStatus(t, "pause", "paused"), newWebhookStatus(t, "resume", "registered"),
		newWebhookRotate(t), newWebhookRemove(t))
	return cmd
}

const webhooksPath = "/api/v1/webhooks"

func webhookPath(id string) string { return webhooksPath + "/" + url.PathEscape(id) }

// webhookPage is one of the list.
type webhookPage struct {
	Webhooks   []json.RawMessage `json:"webhooks"`
	NextCursor *string           `json:"next_cursor"`
}

// deliveryPage is one of the log of deliveries.
type deliveryPage struct {
	Deliveries []json.RawMessage `json:"deliveries"`
	NextBefore *uint64           `json:"next_before"`
}

// writeJSON shows a value as the API gave it.
func writeJSON(t terminal, value json.RawMessage) error {
	if _, err := fmt.Fprintf(t.out, "%s\n", value); err != nil {
		return fmt.Errorf("show the answer: %w", err)
	}
	return nil
}

// show writes what is for people.
func show(t terminal, text string) error {
	if _, err := fmt.Fprint(t.out, text); err != nil {
		return fmt.Errorf("show the answer: %w", err)
	}
	return nil
}
