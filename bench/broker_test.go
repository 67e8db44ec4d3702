package bench

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// asBroker makes the test binary a broker: in a process of its own its CPU time
// does not count as that of who publishes.
const asBroker = "VMUSAGE_BENCH_BROKER"

const (
	partitions = 3
	// retained keeps the broker's memory flat.
	retained      = "33554432" // bytes of a partition
	retainedCheck = 100 * time.Millisecond
)

func TestMain(m *testing.M) {
	if os.Getenv(asBroker) != "" {
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serve is a broker in memory until stdin ends; the first line of stdout is its
// address.
func serve() error {
	c, err := kfake.NewCluster(
		kfake.NumBrokers(1), kfake.AllowAutoTopicCreation(), kfake.DefaultNumPartitions(partitions),
		kfake.BrokerConfigs(map[string]string{"log.retention.bytes": retained, "log.retention.ms": "-1"}),
	)
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Println(c.ListenAddrs()[0])
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	check := time.NewTicker(retainedCheck)
	defer check.Stop()
	for {
		select {
		case <-check.C:
			c.ApplyRetention()
		case <-ended:
			return nil
		}
	}
}

// startBroker returns the address of a broker in another process, which ends with
// the benchmark, or with this process.
func startBroker(b *testing.B) string {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asBroker+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			b.Error(err)
		}
	})
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(addr)
}
