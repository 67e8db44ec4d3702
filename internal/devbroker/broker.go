package devbroker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Options says how a [Broker] runs. The zero value is one in memory on a free
// port of 127.0.0.1, without topics.
type Options struct {
	// Listen is the host:port to listen on, 127.0.0.1:0 where empty. Port 0
	// takes a free one.
	Listen string
	// Advertise is the host:port that clients are told to use, the one listened
	// on where empty.
	Advertise string
	// AllowRemote permits to listen on more than loopback addresses.
	AllowRemote bool
	// DataDir is where topics and records are kept; created where missing. With
	// an empty one they are in memory.
	DataDir string
	// Fsync makes every batch reach the disk before it is acknowledged.
	Fsync bool
	// Topics are created where they are missing. Those that are there are kept
	// as they are, whatever their number of partitions.
	Topics []Topic
	// Logf takes what goes wrong while the broker runs, one line a call, from any
	// goroutine; nil drops it.
	Logf func(format string, args ...any)
}

// A Broker is a running Kafka broker. Its methods may be called from any goroutine.
type Broker struct {
	cluster *kfake.Cluster
	addr    string
	topics  []Topic
	log     *brokerLog
	dataDir string
	lock    *os.File // nil without a data directory

	failed chan struct{} // closed after err is set
	err    error

	close    sync.Once
	closeErr error
}

// Start runs a broker until [Broker.Close]. When it returns, clients can connect
// and the topics are there. The context bounds the start alone.
//
// Errors: [syscall.EADDRINUSE] when the address is taken, [ErrRemote],
// [ErrAdvertise], [ErrDirInUse], and those of a data directory that cannot be
// read.
func Start(ctx context.Context, o Options) (*Broker, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	b := &Broker{dataDir: o.DataDir, failed: make(chan struct{})}
	b.log = &brokerLog{logf: o.Logf, unstored: b.fail}
	ln, err := bind(ctx, o)
	if err != nil {
		return nil, err
	}
	b.addr = ln.Addr().String()
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ClusterID("vmusage-dev"),
		kfake.DefaultNumPartitions(1),
		kfake.WithLogger(b.log),
		kfake.ListenFn(func(string, string) (net.Listener, error) { return ln, nil }),
	}
	if o.DataDir != "" {
		if b.lock, err = lockDir(o.DataDir); err != nil {
			_ = ln.Close()
			return nil, err
		}
		opts = append(opts, kfake.DataDir(o.DataDir))
		if o.Fsync {
			opts = append(opts, kfake.SyncWrites())
		}
	}
	if b.cluster, err = kfake.NewCluster(opts...); err != nil {
		_ = ln.Close()
		_ = b.unlock()
		return nil, fmt.Errorf("open the data in %s: %w", o.DataDir, err)
	}
	err = b.createTopics(o.Topics)
	if err = errors.Join(err, b.Err()); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	close(ln.open)
	return b, nil
}

// createTopics creates what is missing of want and notes what is there.
func (b *Broker) createTopics(want []Topic) error {
	for _, t := range want {
		if b.cluster.TopicInfo(t.Name) == nil {
			if err := b.cluster.CreateTopic(t.Name, int32(t.Partitions), nil); err != nil {
				return fmt.Errorf("create topic %s: %w", t, err)
			}
		}
		t.Partitions = len(b.cluster.PartitionInfos(t.Name))
		b.topics = append(b.topics, t)
	}
	return nil
}

// Addr returns the host:port that clients are to use.
func (b *Broker) Addr() string { return b.addr }

// Topics returns the topics that were asked for, with the number of partitions
// that they really have.
func (b *Broker) Topics() []Topic { return b.topics }

// Cluster returns the broker's inside, for tests that make it refuse or delay
// requests or that look at offsets. Closing it is left to [Broker.Close].
func (b *Broker) Cluster() *kfake.Cluster { return b.cluster }

// Close stops the broker, cuts its connections, and writes to the data directory
// what is not there yet. It returns what could not be written. Calls after the
// first return the same.
func (b *Broker) Close() error {
	b.close.Do(func() {
		b.log.collect()
		b.cluster.Close()
		b.closeErr = b.log.collected()
		if b.Err() != nil && b.dataDir != "" {
			b.closeErr = errors.Join(b.closeErr, forgetSequences(b.dataDir))
		}
		b.closeErr = errors.Join(b.closeErr, b.unlock())
	})
	return b.closeErr
}

func (b *Broker) unlock() error {
	if b.lock == nil {
		return nil
	}
	return b.lock.Close()
}
