package follow

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// notices tells people what is waited for: once when it is missed, once when it
// is there. The client tries again and again on its own and reports every try.
type notices struct {
	say func(string)

	mu      sync.Mutex
	missing string // what is waited for; empty where nothing is
	last    string // the last line said by once
}

// OnBrokerConnect implements [kgo.HookBrokerConnect].
func (n *notices) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	addr := net.JoinHostPort(meta.Host, fmt.Sprint(meta.Port))
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, kgo.ErrClientClosed):
		return // the run ends before the connection is there
	case err != nil:
		n.waitFor("Kafka at "+addr, err)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.missing == "Kafka at "+addr {
		n.foundLocked()
	}
}

// waitFor says that what is missed, if that is news.
func (n *notices) waitFor(what string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.missing == what {
		return
	}
	n.missing = what
	n.tell(fmt.Sprintf("waiting for %s: %v", what, err))
}

// found says that what was missed is there, if something was.
func (n *notices) found() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.foundLocked()
}

func (n *notices) foundLocked() {
	if n.missing == "" {
		return
	}
	n.tell(n.missing + " is there")
	n.missing = ""
}

// once says a line that is not the one said last by it.
func (n *notices) once(line string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.last == line {
		return
	}
	n.last = line
	n.tell(line)
}

func (n *notices) tell(line string) {
	if n.say != nil {
		n.say(line)
	}
}
