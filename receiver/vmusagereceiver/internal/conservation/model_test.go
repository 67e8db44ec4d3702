package conservation

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/ledger"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/outbox"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		_ = flag.Set("rapid.checks", "2000")
	}
	os.Exit(m.Run())
}

// A failer is *testing.T or *rapid.T.
type failer interface {
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// metering is the receiver without its goroutines: each of its steps is one
// action, so that a crash may come between any two.
type metering struct {
	t      failer
	world  *world
	store  *store
	marker *store
	limits outbox.Settings
	minted uint64
	lost   uint64 // streams up to this one may have holes

	ledger   *ledger.Ledger
	outbox   *outbox.Outbox
	snapshot ledger.Snapshot

	kafka     map[uuid.UUID]*usage.Period // distinct events
	content   map[uuid.UUID]string
	losses    int // of state
	dropped   int64
	comebacks map[string]int
	put       map[string]saved // by run: what the truth was when the last snapshot was put into the outbox
	durable   map[string]saved // and that of the snapshot in the storage
	end       map[string]int64 // by run: how long it had lived at the last reading
}

func newMetering(t failer, maxBytes int64) *metering {
	m := &metering{
		t: t, world: newWorld(), store: newStore(), marker: newStore(),
		kafka: map[uuid.UUID]*usage.Period{}, content: map[uuid.UUID]string{}, comebacks: map[string]int{},
	}
	m.limits = outbox.Settings{MaxBytes: maxBytes, Clock: func() time.Time { return time.Unix(0, m.world.wall) }}
	m.boot()
	return m
}

// boot is the start of a process: everything comes from the storage.
func (m *metering) boot() {
	box, found, err := outbox.Open(context.Background(), m.limits, m.store, m.marker)
	if err != nil {
		m.t.Fatal(err)
	}
	if len(found.Damaged) > 0 {
		m.t.Fatal(found.Damaged)
	}
	m.outbox = box
	m.ledger = ledger.New(ledger.Settings{Interval: 10 * time.Second, NewID: m.newID, Lost: found.Lost})
	for _, shard := range found.Shards {
		if err := m.ledger.Restore(shard.Value); err != nil {
			m.t.Fatal(err)
		}
	}
	m.snapshot = ledger.Snapshot{}
}

func (m *metering) newID() uuid.UUID {
	m.minted++
	id := uuid.UUID{6: 0x40, 8: 0x80}
	binary.BigEndian.PutUint32(id[12:], uint32(m.minted))
	return id
}

func (m *metering) crash() {
	m.dropped += m.outbox.State().Dropped
	m.store.fail, m.store.lie = false, false
	m.put = m.durable
	m.world.restartProcess(m.durable)
	m.boot()
}

func (m *metering) sample() {
	for _, r := range m.world.sample() {
		m.ledger.Observe(r)
	}
	m.ledger.EndScan("model", m.world.now(), true)
	closed, changed := m.ledger.Take()
	if changed {
		m.ledger.Snapshot(&m.snapshot)
		m.put = map[string]saved{}
		for _, x := range m.world.machines {
			m.put[x.run] = x.save()
		}
		m.snapshot.Shards = m.outbox.Put(closed, m.snapshot.Shards)
	}
}

func (m *metering) flush() {
	if !m.store.fail {
		m.durable = m.put
	}
	err := m.outbox.Flush(context.Background())
	if err != nil && !errors.Is(err, errDisk) {
		m.t.Fatal(err)
	}
	if err == nil {
		if _, err := m.outbox.Mark(context.Background(), m.marker, time.Unix(0, m.world.wall)); err != nil {
			m.t.Fatal(err)
		}
	}
}

// offer hands one chunk over: Kafka may take some of it, and the answer may be lost.
func (m *metering) offer(take int, confirm bool) bool {
	c, _ := m.outbox.Next(time.Unix(0, m.world.wall))
	if c == nil {
		return false
	}
	periods, err := m.outbox.Load(context.Background(), c)
	if err != nil {
		m.t.Fatal(err)
	}
	for i := range periods {
		if take < 0 || i < take {
			m.publish(&periods[i])
		}
	}
	if confirm && take < 0 {
		m.outbox.Confirm(c)
	} else {
		m.outbox.Refuse(c, time.Unix(0, m.world.wall+second))
	}
	return true
}

// checkpoint reads and writes, where the storage works: what a device counted
// since the last checkpoint goes with it, where a crash comes before the next.
func (m *metering) checkpoint() bool {
	if m.store.fail {
		return false
	}
	m.ledger.Due()
	m.sample()
	m.flush()
	return true
}

func (m *metering) publish(p *usage.Period) {
	id := event.ID(p)
	text := string(event.AppendUsage(nil, event.V1_1, p))
	if was, known := m.content[id]; known && was != text {
		m.t.Fatalf("id %s names two contents:\n%s\n%s", id, was, text)
	}
	m.content[id] = text
	clone := *p
	m.kafka[id] = &clone
}

// drain lets everything work until all is delivered.
func (m *metering) drain() {
	m.store.fail, m.store.lie = false, false
	m.world.answer()
	m.sample()
	m.world.pass(1, 1, 1, 1)
	m.ledger.Due()
	m.sample()
	m.end = map[string]int64{}
	for _, x := range m.world.machines {
		m.end[x.run] = x.lived
	}
	for range 100_000 {
		m.flush()
		m.world.wall += 31 * second // past every backoff
		if !m.offer(-1, true) && m.outbox.State().Periods == 0 {
			m.dropped += m.outbox.State().Dropped
			return
		}
	}
	m.t.Fatal("the outbox does not empty")
}

func TestHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		maxBytes := rapid.SampledFrom([]int64{1 << 30, 40_000, 15_000}).Draw(t, "max_bytes")
		m := newMetering(t, maxBytes)
		ids := rapid.SampledFrom([]string{"a", "b", "c"})
		amount := rapid.Int64Range(0, 1<<20)
		m.world.start("a")
		pass := func(t *rapid.T) {
			m.world.pass(rapid.Int64Range(1, 20_000_000).Draw(t, "us"), amount.Draw(t, "cpu"), amount.Draw(t, "net"), amount.Draw(t, "disk"))
		}
		t.Repeat(map[string]func(*rapid.T){
			"pass":   pass,
			"sample": func(t *rapid.T) { pass(t); m.sample() },
			"tick": func(t *rapid.T) { // what the receiver does at the end of a period
				pass(t)
				m.ledger.Due()
				m.sample()
				m.flush()
			},
			"ticks in an outage": func(t *rapid.T) {
				for range rapid.IntRange(1, 40).Draw(t, "n") {
					m.world.pass(10_000_000, 7, 8, 9)
					m.ledger.Due()
					m.sample()
					m.flush()
					m.offer(0, false)
				}
			},
			"due":              func(*rapid.T) { m.ledger.Due() },
			"flush":            func(*rapid.T) { m.flush() },
			"accept":           func(*rapid.T) { m.offer(-1, true) },
			"accept in part":   func(t *rapid.T) { m.offer(rapid.IntRange(0, 2).Draw(t, "n"), false) },
			"accept, ack lost": func(*rapid.T) { m.offer(-1, false) },
			"crash":            func(*rapid.T) { m.crash() },
			"outage": func(t *rapid.T) {
				m.crash()
				m.world.pass(rapid.Int64Range(1, 3_600_000_000).Draw(t, "us"), amount.Draw(t, "cpu"), 1, 1)
			},
			"disk full":  func(*rapid.T) { m.store.fail = true },
			"disk lies":  func(*rapid.T) { m.store.lie = true },
			"disk works": func(*rapid.T) { m.store.fail, m.store.lie = false, false },
			"state lost": func(*rapid.T) {
				m.store, m.durable = newStore(), nil
				m.losses++
				m.lost = m.minted // with what these streams had not delivered
				m.crash()
			},
			"reboot": func(t *rapid.T) {
				m.world.reboot(rapid.Int64Range(0, 600_000_000).Draw(t, "us"))
				m.crash()
			},
			"guests reboot": func(t *rapid.T) {
				boots, boot := m.world.boots, m.world.boot
				m.world.reboot(0)
				m.world.boots, m.world.boot = boots, boot+5*second
				for id, x := range m.world.machines {
					x.runAt = m.world.boot
					delete(m.world.truth, x.run)
					x.run = fmt.Sprintf("%s/%s/%d", id, m.world.bootID(), m.world.boot)
					m.world.truth[x.run] = map[int64]counted{}
				}
			},
			"clock steps": func(t *rapid.T) {
				m.world.wall = max(m.world.wall+rapid.Int64Range(-7200, 7200).Draw(t, "s")*second, second)
			},
			"suspend": func(t *rapid.T) { m.world.pass(rapid.Int64Range(1, 7_200_000_000).Draw(t, "us"), 0, 0, 0) },
			"start": func(t *rapid.T) {
				id := ids.Draw(t, "id")
				if m.world.machines[id] == nil {
					m.comebacks[id]++
				}
				m.world.start(id)
			},
			"stop": func(t *rapid.T) { delete(m.world.machines, ids.Draw(t, "id")) },
			"unplug": func(t *rapid.T) {
				pass(t)
				if m.checkpoint() {
					m.world.replug()
				}
			},
			"GPU hangs":   func(t *rapid.T) { m.world.hang(ids.Draw(t, "id"), rapid.IntRange(0, 1).Draw(t, "gpu"), true) },
			"GPU answers": func(t *rapid.T) { m.world.hang(ids.Draw(t, "id"), rapid.IntRange(0, 1).Draw(t, "gpu"), false) },
			"GPU driver anew": func(t *rapid.T) {
				pass(t)
				m.world.answer()
				if m.checkpoint() {
					m.world.reload()
				}
			},
			"GPU comes or goes": func(t *rapid.T) {
				pass(t)
				m.world.answer()
				if m.checkpoint() {
					m.world.replugGPU()
					m.checkpoint()
				}
			},
			"migrate": func(t *rapid.T) {
				m.world.own(ids.Draw(t, "id"), rapid.SampledFrom([]string{"u", "v"}).Draw(t, "owner"))
			},
			"resize": func(t *rapid.T) { m.world.resize(ids.Draw(t, "id"), rapid.Int64Range(1, 4).Draw(t, "vcpus")) },
		})
		m.drain()
		m.prove()
	})
}

func (w *world) own(id, owner string) {
	if m := w.machines[id]; m != nil {
		m.owner = owner
	}
}

func (w *world) resize(id string, vcpus int64) {
	if m := w.machines[id]; m != nil {
		m.vcpus = vcpus
	}
}
