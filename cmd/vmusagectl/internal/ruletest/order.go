package ruletest

import (
	"container/heap"
	"errors"
	"io"
	"slices"
)

// maxHeld bounds the bytes of records that wait for older ones.
const maxHeld = 32 << 20

// An order reads inputs and puts what is in them in the order of time. It reads
// on where it is furthest back in time, and holds records until they are more than
// maxHeld bytes and every input has come as far. So files that are each in order
// come out in order however long they are, and what is out of order within a file
// does if it is not by more.
type order struct {
	inputs []*input
	held   records
	size   int
	limit  int
	count  uint64
	bad    func(error) // told of records that cannot be used
}

// next returns the oldest record, or io.EOF after the last.
func (o *order) next() (*record, error) {
	for len(o.inputs) > 0 {
		furthest := 0
		for i, in := range o.inputs {
			if in.newest < o.inputs[furthest].newest {
				furthest = i
			}
		}
		if o.size > o.limit && o.inputs[furthest].newest >= o.held[0].at {
			break
		}
		o.read(furthest)
	}
	if len(o.held) == 0 {
		return nil, io.EOF
	}
	r := heap.Pop(&o.held).(*record)
	o.size -= r.size
	return r, nil
}

// read reads a record of an input, which is forgotten after its last.
func (o *order) read(from int) {
	r, err := o.inputs[from].next()
	if err == nil {
		r.order = o.count
		o.count++
		o.size += r.size
		heap.Push(&o.held, r)
		return
	}
	_, goesOn := errors.AsType[*recordError](err)
	if !errors.Is(err, io.EOF) {
		o.bad(err)
	}
	if !goesOn {
		o.inputs = slices.Delete(o.inputs, from, from+1)
	}
}

// records is a heap of them, the oldest first, and those of one time as they were read.
type records []*record

func (h records) Len() int { return len(h) }
func (h records) Less(i, j int) bool {
	if h[i].at != h[j].at {
		return h[i].at < h[j].at
	}
	return h[i].order < h[j].order
}
func (h records) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push is for container/heap.
func (h *records) Push(x any) { *h = append(*h, x.(*record)) }

// Pop is for container/heap.
func (h *records) Pop() any {
	old := *h
	r := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return r
}
