package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/render"
)

func newWebhookList(t terminal) *cobra.Command {
	var o apiFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "See what is registered",
		Long:  `See the webhooks that the API key sees, and how they are. Secrets are not shown.`,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.client(t)
			if err != nil {
				return err
			}
			defer c.Close()
			var all []render.Webhook
			for path := webhooksPath; path != ""; {
				var page webhookPage
				if err := c.Do(cmd.Context(), http.MethodGet, path, nil, &page); err != nil {
					return err
				}
				for _, raw := range page.Webhooks {
					if asJSON {
						if err := writeJSON(t, raw); err != nil {
							return err
						}
						continue
					}
					var h render.Webhook
					if err := json.Unmarshal(raw, &h); err != nil {
						return fmt.Errorf("%s: %w", path, err)
					}
					all = append(all, h)
				}
				if path = ""; page.NextCursor != nil {
					path = webhooksPath + "?cursor=" + url.QueryEscape(*page.NextCursor)
				}
			}
			if asJSON {
				return nil
			}
			return show(t, render.Webhooks(all))
		},
	}
	o.add(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "a JSON object for each, one a line")
	return cmd
}

func newWebhookDeliveries(t terminal) *cobra.Command {
	var o apiFlags
	var asJSON bool
	var most int
	cmd := &cobra.Command{
		Use:   "deliveries ID",
		Short: "See what was sent, and how it went",
		Long: `See the deliveries of a webhook that wait, and the last ones that do not, the newest
first: with each the last attempt, and with --json all attempts that are known.`,
		Example: `  vmusagectl webhook deliveries wh_2x7qk4 --count 10`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if most < 1 {
				return usagef("--count is %d: it must be at least 1", most)
			}
			c, err := o.client(t)
			if err != nil {
				return err
			}
			defer c.Close()
			var all []render.Delivery
			path := webhookPath(args[0]) + "/deliveries"
			for next, shown := path, 0; next != "" && shown < most; {
				var page deliveryPage
				if err := c.Do(cmd.Context(), http.MethodGet, next, nil, &page); err != nil {
					return err
				}
				for _, raw := range page.Deliveries[:min(len(page.Deliveries), most-shown)] {
					shown++
					if asJSON {
						if err := writeJSON(t, raw); err != nil {
							return err
						}
						continue
					}
					var d render.Delivery
					if err := json.Unmarshal(raw, &d); err != nil {
						return fmt.Errorf("%s: %w", path, err)
					}
					all = append(all, d)
				}
				if next = ""; page.NextBefore != nil {
					next = path + "?before=" + strconv.FormatUint(*page.NextBefore, 10)
				}
			}
			if asJSON {
				return nil
			}
			return show(t, render.Deliveries(all))
		},
	}
	o.add(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "a JSON object for each, one a line")
	cmd.Flags().IntVar(&most, "count", 20, "show so many at most")
	return cmd
}
