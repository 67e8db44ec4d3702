package e2e

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// full reports whether the tests run at full length, as `make e2e` does.
func full() bool { return os.Getenv("VMUSAGE_E2E") == "full" }

// random returns a source of randomness for each of n goroutines. Its seed is in
// the log of the test, and VMUSAGE_SEED gives it again.
func random(t *testing.T, n int) []*rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano()) //nolint:gosec // any bits will do
	if s := os.Getenv("VMUSAGE_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err, "VMUSAGE_SEED")
	}
	t.Logf("VMUSAGE_SEED=%d", seed)
	rngs := make([]*rand.Rand, n)
	for i := range rngs {
		rngs[i] = rand.New(rand.NewPCG(seed, uint64(i)))
	}
	return rngs
}

// upTo returns a duration from 0 to below d.
func upTo(rng *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(rng.Int64N(int64(d)))
}
