package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/hooklisten"
	"github.com/vmusage/otelcol-vmusage/internal/signing"
)

const secretEnv = "WEBHOOK_SECRET" //nolint:gosec // the name of a variable

type webhookListen struct {
	listen     string
	secretFile string
	unsigned   bool
	json       bool
	count      int
	status     int
}

func newWebhookListen(t terminal) *cobra.Command {
	var o webhookListen
	cmd := &cobra.Command{
		Use:   "listen",
		Short: "Receive events on this machine, verify and print them",
		Long: `Listen for requests of a webhook, verify their signatures, and print what they say. What
is not signed with the secret is answered with 401, and what came before (the same
webhook-id) is answered and shown as a repeat. Several secrets, one a line, are all
taken: so it is while a secret is rotated.

The collector has to reach it: to try it on one machine, the collector needs

  extensions: {usage_api: {webhooks: {allow_http: true, allow_private_networks: [127.0.0.0/8]}}}

The exit status is 0 when it is ended or --count events came, 1 when it failed.`,
		Example: `  vmusagectl webhook add http://127.0.0.1:9000/ --events resource_usage > secret
  vmusagectl webhook listen --secret-file secret
  vmusagectl webhook listen --secret-file secret --status 503   # see how it is tried again`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), t.synced()) },
	}
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", "127.0.0.1:9000", "where to listen, `host:port`")
	f.StringVar(&o.secretFile, "secret-file", "", "a `file` with the secret, whsec_...; without it the environment variable "+secretEnv)
	f.BoolVar(&o.unsigned, "unsigned", false, "take everything: nothing is verified")
	f.BoolVar(&o.json, "json", false, "print the bodies as they came, one a line")
	f.IntVar(&o.count, "count", 0, "stop after so many events; 0 never")
	f.IntVar(&o.status, "status", http.StatusNoContent, "answer with this `status`")
	return cmd
}

// secrets returns those of the file or of the environment.
func (o *webhookListen) secrets(t terminal) ([]signing.Secret, error) {
	if o.unsigned {
		return nil, nil
	}
	text, from := t.getenv(secretEnv), secretEnv
	if o.secretFile != "" {
		b, err := os.ReadFile(o.secretFile)
		if err != nil {
			return nil, usageError{fmt.Errorf("--secret-file: %w", err)}
		}
		text, from = string(b), o.secretFile
	}
	var all []signing.Secret
	for line := range strings.FieldsSeq(text) {
		s, err := signing.ParseSecret(line)
		if err != nil {
			return nil, usagef("%s: %w", from, err)
		}
		all = append(all, s)
	}
	if len(all) == 0 {
		return nil, usagef("no secret: give --secret-file or %s the secret that 'webhook add' showed, or --unsigned", secretEnv)
	}
	return all, nil
}

func (o *webhookListen) run(ctx context.Context, t terminal) error {
	if o.status < 200 || o.status > 599 {
		return usagef("--status is %d: it must be 200 to 599", o.status)
	}
	secrets, err := o.secrets(t)
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return fmt.Errorf("--listen is %q and cannot be listened on: %w", o.listen, err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var failed error
	h := hooklisten.New(hooklisten.Settings{
		Secrets: secrets, Unsigned: o.unsigned, Status: o.status, JSON: o.json, Color: t.color(), Now: time.Now,
		Show: func(text string) {
			if _, err := io.WriteString(t.out, text); err != nil {
				failed = fmt.Errorf("show an event: %w", err)
				stop()
			}
		},
		Say:   t.say,
		Count: o.count, Enough: stop,
	})
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, MaxHeaderBytes: 64 << 10}
	t.say("listening at http://%s/; Ctrl-C ends it", l.Addr())
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		_ = server.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return failed
}
