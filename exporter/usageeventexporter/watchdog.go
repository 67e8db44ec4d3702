package usageeventexporter

import (
	"fmt"
	"math"
	"sync"
	"time"
)

// A watchdog cuts a session whose brokers do not answer in time. Time for which
// they told it to wait is not counted: under a quota they answer at once, and
// sarama sends the next request only when that time is over. A new connection
// would be made to wait as well, and begin anew.
type watchdog struct {
	mu    sync.Mutex
	clock *time.Timer
	ended bool
}

// watch begins to watch s, until stop.
func (p *producer) watch(s *session) *watchdog {
	w := &watchdog{}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = time.AfterFunc(math.MaxInt64, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.ended {
			return
		}
		if wait := s.line.held(); wait > 0 {
			w.clock.Reset(wait + p.timeout)
			return
		}
		p.retire(s)
		s.line.cut(fmt.Errorf("%w within %v", errNoAnswer, p.timeout))
	})
	w.clock.Reset(p.timeout)
	return w
}

func (w *watchdog) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.clock.Stop()
}
