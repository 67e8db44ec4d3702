package webhook

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/bits"
	"slices"

	"github.com/vmusage/otelcol-vmusage/internal/wire"
)

// pages say which messages are in the storage, which cannot list what is in it: a bit for each
// of pageSize consecutive numbers, and one value with the pages that there are.
type pages map[uint64]*page

const pageSize = 1024

type page [pageSize / 64]uint64

const pagesKey = "pages"

func pageKey(p uint64) string { return fmt.Sprintf("page.%d", p) }

func (ps pages) has(number uint64) bool {
	p := ps[number/pageSize]
	return p != nil && p[number%pageSize/64]>>(number%64)&1 == 1
}

// set notes that a message is there and returns its page, and whether that is new.
func (ps pages) set(number uint64) (at uint64, added bool) {
	at = number / pageSize
	p := ps[at]
	if added = p == nil; added {
		p = &page{}
		ps[at] = p
	}
	p[number%pageSize/64] |= 1 << (number % 64)
	return at, added
}

// clear notes that a message is not there any more.
func (ps pages) clear(number uint64) (at uint64, removed bool) {
	at = number / pageSize
	p := ps[at]
	p[number%pageSize/64] &^= 1 << (number % 64)
	if removed = *p == (page{}); removed {
		delete(ps, at)
	}
	return at, removed
}

// numbers returns those of the messages of a page, ascending.
func (ps pages) numbers(at uint64) (all []uint64) {
	for i, word := range ps[at] {
		for ; word != 0; word &= word - 1 {
			all = append(all, at*pageSize+uint64(i*64+bits.TrailingZeros64(word))) //nolint:gosec // below pageSize
		}
	}
	return all
}

// op writes a page, or removes it where nothing is in it.
func (ps pages) op(at uint64) Op {
	p := ps[at]
	if p == nil {
		return Op{Key: pageKey(at)}
	}
	value := wire.Begin(nil, wire.KindIndex)
	for _, word := range p {
		value = binary.LittleEndian.AppendUint64(value, word)
	}
	return Op{pageKey(at), wire.Seal(value)}
}

func decodePage(value []byte) (*page, error) {
	payload, err := wire.Open(value, wire.KindIndex)
	if err != nil {
		return nil, err
	}
	d := wire.NewDecoder(payload)
	p := &page{}
	for i := range p {
		var word [8]byte
		d.Bytes(word[:])
		p[i] = binary.LittleEndian.Uint64(word[:])
	}
	return p, d.End()
}

// full is a page of which it is not known what is in it.
func fullPage() *page {
	p := &page{}
	for i := range p {
		p[i] = ^uint64(0)
	}
	return p
}

// listOp writes which pages there are.
func (ps pages) listOp() Op {
	value := wire.Begin(nil, wire.KindIndex)
	value = binary.AppendUvarint(value, uint64(len(ps)))
	last := uint64(0)
	for _, at := range slices.Sorted(maps.Keys(ps)) {
		value = binary.AppendUvarint(value, at-last)
		last = at
	}
	return Op{pagesKey, wire.Seal(value)}
}

func decodePages(value []byte) (list []uint64, err error) {
	payload, err := wire.Open(value, wire.KindIndex)
	if err != nil {
		return nil, err
	}
	d := wire.NewDecoder(payload)
	last := uint64(0)
	for range d.Count() {
		last += d.Uint()
		list = append(list, last)
	}
	return list, d.End()
}
