package api

import (
	"net/http"
	"sync"
	"time"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
)

// clients are those who follow, all together and of each principal. They are safe for
// concurrent use.
type clients struct {
	most, perPrincipal int // perPrincipal below 1 is no limit

	mu  sync.Mutex
	all int
	of  map[string]int // by principal; those who need not say who they are are in none
}

func newClients(s Stream) *clients {
	return &clients{most: s.MaxClients, perPrincipal: s.MaxClientsPerPrincipal, of: map[string]int{}}
}

// enter lets one more follow, or says why not.
func (c *clients) enter(principal string) (End, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	const later = 30 * time.Second
	switch {
	case principal != "" && c.perPrincipal > 0 && c.of[principal] >= c.perPrincipal:
		return EndFullPrincipal, problem.New(http.StatusTooManyRequests, "you follow changes already, by %d connections: there may be no more", c.perPrincipal).RetryAfter(later)
	case c.all >= c.most:
		return EndFull, problem.New(http.StatusServiceUnavailable, "too many follow changes already: at most %d", c.most).RetryAfter(later)
	}
	c.all++
	if principal != "" {
		c.of[principal]++
	}
	return "", nil
}

func (c *clients) leave(principal string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.of[principal]--; c.of[principal] <= 0 {
		delete(c.of, principal)
	}
}

func (c *clients) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all
}
