package devbroker

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"testing"

	"go.uber.org/goleak"
)

// asBroker makes the test binary a broker on the directory that it holds, for
// tests that kill one.
const asBroker = "DEVBROKER_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(asBroker); dir != "" {
		os.Exit(runBroker(dir))
	}
	goleak.VerifyTestMain(m)
}

// runBroker prints the address of a broker and runs it until it is killed.
func runBroker(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	b, err := Start(ctx, Options{DataDir: dir, Topics: DefaultTopics()})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(b.Addr())
	<-ctx.Done()
	if err := b.Close(); err != nil {
		return 1
	}
	return 0
}
