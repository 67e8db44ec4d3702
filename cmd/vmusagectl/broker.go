package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/vmusage/otelcol-vmusage/internal/devbroker"
)

func newBroker(t terminal) *cobra.Command {
	f := brokerFlags{listenName: "listen"}
	cmd := &cobra.Command{
		Use:   "broker",
		Short: "Run a Kafka broker for development",
		Long: `Run one Kafka broker in the foreground, for development and tests. It needs no
Java and no container, and any Kafka client can use it. It has no authentication
and one replica of everything: it is not for production.

Topics and records are in --data-dir and are there again after a stop or a crash
of the broker: what it acknowledged is with the kernel. A power cut can take the
last seconds, unless --fsync is given. Nothing is ever deleted; to start afresh,
stop the broker and remove the directory.

If the disk is full the broker stops with an error rather than lose records.`,
		Example: `  vmusagectl broker
  vmusagectl broker --listen 127.0.0.1:19092 --data-dir /tmp/kafka --topic usage_events:1

  # read it with another client
  kcat -b 127.0.0.1:9092 -t usage_events -C -e`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runBroker(cmd.Context(), t.synced(), f)
		},
	}
	f.add(cmd.Flags())
	return cmd
}

// brokerFlags are the flags of every command that runs a broker.
type brokerFlags struct {
	listenName string // the flag that sets where it listens

	listen, advertise string
	allowRemote       bool
	dataDir           string
	topics            []string
	fsync             bool
}

func (f *brokerFlags) add(flags *pflag.FlagSet) {
	topics := make([]string, 0, 3)
	for _, topic := range devbroker.DefaultTopics() {
		topics = append(topics, topic.String())
	}
	flags.StringVar(&f.listen, f.listenName, "127.0.0.1:9092", "address for Kafka clients, `host:port`; port 0 takes a free one")
	flags.StringVar(&f.advertise, "advertise", "", "address that clients are told to use, `host:port` (default: the one listened on)")
	flags.BoolVar(&f.allowRemote, "allow-remote", false, "listen where other machines can reach it, though anyone can then read and write")
	flags.StringVar(&f.dataDir, "data-dir", "./data/kafka", "`directory` for topics and records; made if missing")
	flags.StringArrayVar(&f.topics, "topic", topics, "topic to create if missing, `name[:partitions]`; may be given several times, and then only these")
	flags.BoolVar(&f.fsync, "fsync", false, "acknowledge a batch only when it is on the disk; slower")
}

// start starts a broker. Its warnings go to the terminal.
func (f *brokerFlags) start(ctx context.Context, t terminal) (*devbroker.Broker, error) {
	o := devbroker.Options{
		Listen:      f.listen,
		Advertise:   f.advertise,
		AllowRemote: f.allowRemote,
		DataDir:     f.dataDir,
		Fsync:       f.fsync,
		Logf:        func(format string, args ...any) { t.say("broker: "+format, args...) },
	}
	if o.DataDir == "" {
		return nil, usagef("--data-dir is empty: name a directory")
	}
	for _, s := range f.topics {
		topic, err := devbroker.ParseTopic(s)
		if err != nil {
			return nil, usagef("--topic: %w", err)
		}
		o.Topics = append(o.Topics, topic)
	}
	b, err := devbroker.Start(ctx, o)
	return b, f.advise(err)
}

// advise adds to an error what to do about it.
func (f *brokerFlags) advise(err error) error {
	var advice string
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EADDRINUSE):
		advice = fmt.Sprintf("%s is taken: is another vmusagectl or Kafka running? stop it, or choose another address with --%s", f.listen, f.listenName)
	case errors.Is(err, devbroker.ErrDirInUse):
		advice = "is another vmusagectl running? stop it, or choose another directory with --data-dir"
	case errors.Is(err, devbroker.ErrRemote):
		advice = fmt.Sprintf("listen on 127.0.0.1 with --%s, or permit it with --allow-remote", f.listenName)
	case errors.Is(err, devbroker.ErrAdvertise):
		advice = "name one with --advertise"
	default:
		return err
	}
	return fmt.Errorf("%w; %s", err, advice)
}

func runBroker(ctx context.Context, t terminal, f brokerFlags) error {
	b, err := f.start(ctx, t)
	if err != nil {
		return err
	}
	fmt.Fprintf(t.out, "Kafka is ready on %s, data in %s, topics %s\n", b.Addr(), f.dataDir, topicList(b.Topics()))
	select {
	case <-ctx.Done():
	case <-b.Failed():
	}
	err = errors.Join(b.Err(), b.Close())
	if err == nil {
		t.say("stopped, all data is in %s", f.dataDir)
	}
	return err
}

func topicList(topics []devbroker.Topic) string {
	names := make([]string, 0, len(topics))
	for _, topic := range topics {
		names = append(names, topic.String())
	}
	return strings.Join(names, ", ")
}
