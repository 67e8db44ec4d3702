package webhook

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
)

// Of the marks of a key in one batch the last one stays, with an event or without, over a
// restart, too.
func TestLastMarkOfABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := newWorld(), newDisk()
		e := open(t, settings(w, d))
		e.hook("https://a.example/", root)
		ev, m := usageOf(1, 1)
		b := e.Begin()
		assert.Equal(t, Accepted, b.Offer(&ev, m, body(&ev)))
		m.Sequence, m.State = 2, []byte("later")
		b.Set(m)
		b.Commit(t.Context())

		known := func() Mark {
			b := e.Begin()
			defer b.Commit(t.Context())
			got, ok := b.Known(m.Key)
			assert.True(t, ok)
			return got
		}
		assert.Equal(t, m, known())
		e.close()
		e = open(t, settings(w, d))
		defer e.close()
		assert.Equal(t, m, known())
	})
}
