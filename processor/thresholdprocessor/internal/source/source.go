// Package source fetches threshold rules from where operators keep them. A source
// delivers what it finds and goes on; whoever receives it keeps the last good
// rules while there is an error.
package source

import (
	"context"

	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

// An Update is what a source found: rules, or why there are none.
type Update struct {
	Rules []*threshold.Rule
	Err   error // then Rules says nothing
	// Stale says that the rules are the copy of an earlier process: the place
	// itself was not asked yet.
	Stale bool
}

// Deliver takes an update. It is called from one goroutine.
type Deliver func(Update)

// A Source is one place of rules.
type Source interface {
	// Name is what rules, logs and metrics call it: file, http, api.
	Name() string
	// Run delivers what there is and then what changes, until ctx ends.
	Run(ctx context.Context, deliver Deliver)
}

// Parse turns a document into rules. Its errors say what is wrong with it.
type Parse func(document []byte) ([]*threshold.Rule, error)
