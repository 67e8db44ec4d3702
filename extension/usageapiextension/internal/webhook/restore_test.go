package webhook

import (
	"encoding/binary"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/wire"
)

// full is a disk with everything that there may be.
func fullDisk(t *testing.T) *disk {
	w := newWorld()
	d := newDisk()
	e := open(t, settings(w, d))
	a := e.hook("a", root)
	e.hook("b", alex)
	e.offerUsage(1, 1)
	time.Sleep(time.Minute)
	pause(e, a.ID)
	for n := range byte(3) {
		e.offerUsage(2, n+1)
	}
	b := e.Begin()
	b.Set(Mark{Key: [16]byte{7}, Sequence: 7, State: []byte("state")})
	b.Commit(t.Context())
	time.Sleep(time.Minute)
	e.close()
	return d
}

// Whatever becomes of a value, the rest is used, and it is told and set aside.
func TestDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		whole := fullDisk(t)
		kinds := map[string]bool{}
		for _, key := range whole.keys() {
			kind, _, _ := strings.Cut(key, ".")
			kinds[kind] = true
			for _, damage := range []struct {
				name string
				do   func([]byte) []byte
			}{
				{"flipped", func(v []byte) []byte { v[len(v)/2] ^= 1; return v }},
				{"cut", func(v []byte) []byte { return v[:len(v)-3] }},
				{"empty", func([]byte) []byte { return []byte{} }},
				{"foreign", func([]byte) []byte { return []byte("something else altogether") }},
				{"of another kind", func([]byte) []byte { return wire.Seal(wire.Begin(nil, wire.KindRules)) }},
				{"absurd", func(v []byte) []byte {
					return wire.Seal(binary.AppendUvarint(wire.Begin(nil, wire.Kind(v[4])), 1<<60))
				}},
			} {
				if kind == "body" && (key == bodyKey(1) || damage.name == "absurd") {
					continue // nobody reads it, or any text is one
				}
				d := whole.copied()
				d.values[key] = damage.do(append([]byte(nil), d.values[key]...))
				w := newWorld()
				e := open(t, settings(w, d))
				for _, v := range e.List() {
					resume(e, v.ID)
				}
				synctest.Wait()
				assert.Contains(t, e.w.damaged, key, "%s %s", key, damage.name)
				lost := map[string]int{"to": 1, "body": 1, "hooks": 3, "pages": 3}[kind]
				if key == toKey(1) {
					lost = 0 // it was delivered
				}
				assert.GreaterOrEqual(t, len(w.got("a")), 3-lost, "%s %s", key, damage.name)
				if kind != "body" {
					assert.Contains(t, d.keys(), corruptPrefix+key)
				}
				assert.Equal(t, Accepted, e.offerUsage(200, 1), "%s %s: it goes on", key, damage.name)
				e.close()
				s := settings(newWorld(), d)
				open(t, s).close()
				assert.Empty(t, s.Observe.(*watcher).damaged, "%s %s: once", key, damage.name)
			}
		}
		assert.Equal(t, map[string]bool{"pages": true, "page": true, "to": true, "body": true, "hooks": true, "marks": true}, kinds)
	})
}

// What a newer version wrote is not touched.
// What was written while the clock was ahead does not wait for that time.
func TestClockWasAhead(t *testing.T) {
	d := newDisk()
	w := newWorld()
	e := open(t, settings(w, d)) // years ahead of the clock that tests begin with
	v := e.hook("a", root)
	pause(e, v.ID)
	e.offerUsage(1, 1)
	e.close()
	synctest.Test(t, func(t *testing.T) {
		e := open(t, settings(w, d))
		defer e.close()
		resume(e, v.ID)
		time.Sleep(25 * time.Hour)
		assert.Len(t, w.got("a"), 1)
		e.atRest()
	})
}

func TestNewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		whole := fullDisk(t)
		for _, key := range whole.keys() {
			if strings.HasPrefix(key, "body") {
				continue // read when it is sent
			}
			d := whole.copied()
			value := append([]byte(nil), d.values[key]...)
			value = value[:len(value)-4]
			wire.Need(value, wire.Format+1)
			d.values[key] = wire.Seal(value)
			before := d.copied()
			_, err := Open(t.Context(), settings(newWorld(), d))
			require.ErrorIs(t, err, wire.ErrNewer, key)
			assert.Equal(t, before.values, d.values)
		}
	})
}

func TestMarks(t *testing.T) {
	ms := newMarks()
	now := time.Unix(1_000_000_000, 0)
	for i := range 10_000 {
		ms.set(Mark{Key: [16]byte{byte(i), byte(i >> 8), 15: 1}, Sequence: 1}, 0, now.Add(time.Duration(i)*time.Second))
	}
	assert.LessOrEqual(t, ms.len(), marksPerShard+marksPerShard/8)
	_, ok := ms.get([16]byte{byte(9999 & 0xff), byte(9999 >> 8), 15: 1})
	assert.True(t, ok, "the newest stay")
	ms.set(Mark{Key: [16]byte{1}, State: []byte("s"), Sequence: 9}, 0, now)
	again := newMarks()
	for i := range markShards {
		require.NoError(t, again.decode(i, ms.encode(i)))
		assert.Len(t, again.shards[i], len(ms.shards[i]))
	}
	m, ok := again.get([16]byte{1})
	assert.True(t, ok)
	assert.Equal(t, Mark{Key: [16]byte{1}, State: []byte("s"), Sequence: 9}, m)
	ms.prune(markShardOf([16]byte{1}), now.Add(markAge+time.Second))
	_, ok = ms.get([16]byte{1})
	assert.False(t, ok, "after so long nobody offers it again")
}

func FuzzDecode(f *testing.F) {
	ev, m := usageOf(1, 1)
	msg := newMessage(&ev, m, time.Unix(1, 0))
	h := hookOf("https://example.com")
	h.ID, h.Status = "wh_1", Registered
	ep := newEndpoint(&h)
	msg.to = []*delivery{{message: msg, endpoint: ep, number: 1, state: Pending, place: -1}}
	f.Add(byte(0), msg.encodeLocked())
	f.Add(byte(1), wire.Seal(appendHook(binary.AppendUvarint(wire.Begin(nil, wire.KindHooks), 1), &h, ep)))
	ps := pages{}
	ps.set(5)
	f.Add(byte(2), ps.op(0).Value)
	f.Add(byte(3), ps.listOp().Value)
	ms := newMarks()
	ms.set(m, 0, time.Unix(1, 0))
	f.Add(byte(4), ms.encode(markShardOf(m.Key)))
	f.Fuzz(func(t *testing.T, what byte, value []byte) {
		// The checksum would keep everything out.
		if len(value) > 10 {
			value = wire.Seal(append(wire.Begin(nil, wire.Kind(value[4])), value[6:len(value)-4]...))
		}
		switch what % 5 {
		case 0:
			m, err := decodeMessage(1, value, map[string]*endpoint{"wh_1": ep})
			if err == nil {
				again, err := decodeMessage(1, m.encodeLocked(), map[string]*endpoint{"wh_1": ep})
				require.NoError(t, err)
				assert.Equal(t, m.event, again.event)
				assert.Len(t, again.to, len(m.to))
			}
		case 1:
			eps, err := decodeHooks(value)
			if err == nil && len(eps) > 0 {
				_ = appendHook(nil, eps[0].hook, eps[0])
			}
		case 2:
			_, _ = decodePage(value)
		case 3:
			_, _ = decodePages(value)
		case 4:
			ms := newMarks()
			_ = ms.decode(0, value)
		}
	})
}
