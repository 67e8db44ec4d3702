package gpu

import (
	"errors"
	"maps"
	"sync"
)

// A Failure is a function of NVML and what it returned.
type Failure struct {
	Func string
	Code Code
}

// Counts say what went wrong since the start. Failures are bounded by the
// functions that are called and the codes that have a name; the rest is Unknown.
type Counts struct {
	Failures map[Failure]int64
	Garbage  Garbage // utilization samples that were ignored
	Timeouts int64   // answers that a sample did not wait for
	Abandons int64   // calls that were given up
	Reopens  int64   // driver initializations after the first
}

type counter struct {
	mu sync.Mutex
	c  Counts
}

func (k *counter) failed(err error) {
	f := Failure{Code: codeOf(err)}
	if call, ok := errors.AsType[*CallError](err); ok {
		f.Func = call.Func
	}
	if _, named := codeNames[f.Code]; !named {
		f.Code = Unknown
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.c.Failures == nil {
		k.c.Failures = map[Failure]int64{}
	}
	k.c.Failures[f]++
}

func (k *counter) garbage(g Garbage) {
	if g == (Garbage{}) {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.c.Garbage.add(g)
}

func (k *counter) add(timeouts, abandons, reopens int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.c.Timeouts += timeouts
	k.c.Abandons += abandons
	k.c.Reopens += reopens
}

func (k *counter) all() Counts {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.c
	c.Failures = maps.Clone(c.Failures)
	return c
}
