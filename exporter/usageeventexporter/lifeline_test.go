package usageeventexporter

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCutEndsEverythingThatHangsOnALifeline(t *testing.T) {
	addr := silent(t)
	l := newLifeline(patience)
	require.NoError(t, l.cause())
	assert.Equal(t, time.Minute, l.backoff(time.Minute)(1, 3))
	first, err := l.Dial("tcp", addr)
	require.NoError(t, err)
	second, err := l.Dial("tcp", addr)
	require.NoError(t, err)
	reading := make(chan error, 1)
	go func() {
		_, err := io.ReadAll(second)
		reading <- err
	}()

	why := errors.New("why")
	l.cut(why)
	l.cut(errors.New("later"))
	require.ErrorIs(t, <-reading, net.ErrClosed)
	assert.True(t, isClosed(first))
	<-l.severed()
	require.ErrorIs(t, l.cause(), why)
	_, err = l.Dial("tcp", addr)
	require.Error(t, err)
	assert.Zero(t, l.backoff(time.Minute)(1, 3))
}

// A producer lives for months and reconnects now and then.
func TestClosedConnectionsAreForgotten(t *testing.T) {
	addr := silent(t)
	l := newLifeline(patience)
	for range 10 {
		c, err := l.Dial("tcp", addr)
		require.NoError(t, err)
		require.NoError(t, c.Close())
	}
	assert.Len(t, l.conns, 1)
	l.cut(errStopped)
}

func TestOneBrokerOfSeveralIsEnough(t *testing.T) {
	cluster := kafka(t, 1)
	brokers := append(cluster.ListenAddrs(), fmt.Sprintf("127.0.0.1:%d", freePort(t)), fmt.Sprintf("127.0.0.1:%d", freePort(t)))
	r := start(t, quick(brokers, nil))
	require.NoError(t, r.ConsumeMetrics(t.Context(), usageOf(instances(2)...)))
	assert.Equal(t, 2, stored(cluster))
	assert.Empty(t, r.lines())
}
