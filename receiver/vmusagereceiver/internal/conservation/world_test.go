package conservation

import (
	"fmt"
	"maps"
	"slices"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

const (
	us     = int64(1000)
	second = 1_000_000 * us
)

// world is a hypervisor host and the machines on it: the truth.
//
// The counter of steal of every machine counts the microseconds that it lived.
// So the sum of steal over the events of a run says up to which instant the
// events account for, and that everything else has to be what was counted by then.
type world struct {
	boots    int
	boot     int64 // CLOCK_BOOTTIME
	wall     int64
	machines map[string]*machine
	births   uint64

	// truth has, for every run, what its counters said at each reading, by the
	// microseconds that it had lived.
	truth map[string]map[int64]counted
	// readings has, for every run and wall-clock label of a reading, how long
	// the run had lived.
	readings map[string]map[int64]int64
}

type counted struct {
	cpu, transmit, disk int64
	driver, samples     told // of GPUs
}

// A machine is one instance while it runs.
type machine struct {
	id, owner string
	vcpus     int64
	run       string
	runAt     int64
	lived     int64 // us
	counted
	birth     uint64
	diskBirth uint64
	diskBase  int64 // counted.disk when the disk was plugged in
	gpus      []*gpu
}

func newWorld() *world {
	return &world{
		boot: 1000 * second, wall: 1_700_000_000 * second, boots: 1,
		machines: map[string]*machine{}, truth: map[string]map[int64]counted{}, readings: map[string]map[int64]int64{},
	}
}

func (w *world) bootID() string { return fmt.Sprintf("boot-%d", w.boots) }

func (w *world) birth() uint64 { w.births++; return w.births }

// start lets an instance run that does not.
func (w *world) start(id string) {
	if w.machines[id] != nil {
		return
	}
	m := &machine{id: id, owner: "u", vcpus: 2, runAt: w.boot, birth: w.birth(), diskBirth: w.birth(), gpus: newGPUs(w, id)}
	m.run = fmt.Sprintf("%s/%s/%d", id, w.bootID(), w.boot)
	w.machines[id] = m
	w.truth[m.run] = map[int64]counted{}
}

// pass lets time go by, in which every machine uses something.
func (w *world) pass(micros int64, cpu, transmit, disk int64) {
	w.boot += micros * us
	w.wall += micros * us
	for _, m := range w.machines {
		m.lived += micros
		m.cpu += cpu
		m.transmit += transmit
		m.disk += disk
		for _, g := range m.gpus {
			g.pass(micros, disk)
		}
	}
}

// reboot ends every run, and the same instances start anew some time later.
func (w *world) reboot(downMicros int64) {
	ids := slices.Sorted(maps.Keys(w.machines))
	clear(w.machines)
	w.boots++
	w.boot = 5 * second
	w.wall += downMicros*us + 5*second
	for _, id := range ids {
		w.start(id)
	}
}

// sample returns a reading of each machine, and notes what is true now.
func (w *world) sample() []*reading.Reading {
	w.boot += us // no two readings have the same label
	w.wall += us
	for _, m := range w.machines {
		m.lived++
	}
	var rs []*reading.Reading
	for _, id := range slices.Sorted(maps.Keys(w.machines)) {
		m := w.machines[id]
		m.deliver()
		w.truth[m.run][m.lived] = m.counted
		if w.readings[m.run] == nil {
			w.readings[m.run] = map[int64]int64{}
		}
		w.readings[m.run][w.wall] = m.lived
		rs = append(rs, m.reading(w))
	}
	return rs
}

func (m *machine) reading(w *world) *reading.Reading {
	r := &reading.Reading{
		Instance: &usage.Instance{ID: m.id, HostID: "h", UserID: m.owner},
		Flavor:   usage.Flavor{VCPUs: m.vcpus, MemoryBytes: 1 << 30},
		At:       w.now(),
		Source:   "model", Run: m.run, RunAt: m.runAt,
	}
	for u := range usage.DiskReadBytes {
		r.Metered.Add(u)
	}
	r.Metered.AddClass(usage.Disk)
	r.Metered.AddClass(usage.Interface)
	r.Scanned = r.Metered
	for k := range r.Levels {
		r.Levels[k] = reading.Level{Bytes: 1 << 29, Valid: true}
	}
	r.Counters = []reading.Counters{
		{First: usage.CPUTime, N: 2, ID: "cpu", Birth: m.birth, Values: [4]uint64{uint64(m.cpu), uint64(m.lived)}},
		{First: usage.NetworkTransmitBytes, N: 4, ID: "eth0", Birth: m.birth, Values: [4]uint64{uint64(m.transmit)}},
		{First: usage.DiskReadBytes, N: 4, ID: "vda", Birth: m.diskBirth, Values: [4]uint64{uint64(m.disk - m.diskBase)}},
	}
	m.gpuReading(r)
	return r
}

func (w *world) now() reading.Instant {
	return reading.Instant{Boot: w.boot, BootID: w.bootID(), Wall: w.wall}
}

// replug replaces the disks by new ones, whose counters begin at 0. What the old
// ones counted since the last reading is gone with them: nothing passes between
// the two, so that nothing is.
func (w *world) replug() {
	for _, m := range w.machines {
		m.diskBirth, m.diskBase = w.birth(), m.disk
	}
}
