package host

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// A Source samples one machine. It is used from one goroutine at a time.
type Source struct {
	cfg    Config
	bootID string

	stat, load, mem file
	statSize        int // of the start of /proc/stat that has all CPUs
	buf             []byte

	watch      watch
	disks      class[DiskStats]
	interfaces class[InterfaceStats]
	links      links
	mounts     mounts
	prober     *prober
	processes  processes
	flavor     usage.Flavor
	snapshot   Snapshot
}

// New opens the source. It fails where the machine's counters cannot be read.
func New(cfg Config) (*Source, error) {
	cfg.RootPath = filepath.Clean(cfg.RootPath)
	proc := func(name string) string { return filepath.Join(cfg.RootPath, "proc", name) }
	sys := func(name string) string { return filepath.Join(cfg.RootPath, "sys", name) }
	s := &Source{
		cfg:       cfg,
		stat:      file{path: proc("stat")},
		load:      file{path: proc("loadavg"), single: true},
		mem:       file{path: proc("meminfo"), single: true},
		statSize:  4 << 10,
		buf:       make([]byte, 4<<10),
		watch:     watch{events: file{path: sys("kernel/uevent_seqnum"), single: true}, buf: make([]byte, 64)},
		prober:    newProber(cfg.RootPath, cfg.Filesystems.Timeout),
		processes: processes{path: proc("")},
	}
	s.disks = class[DiskStats]{
		file: file{path: proc("diskstats")}, split: splitDisk, parse: parseDisk,
		folder: sys("block"), examine: s.cfg.examineDisk, lines: make([]byte, 16<<10),
	}
	s.interfaces = class[InterfaceStats]{
		file: file{path: proc("net/dev")}, header: netdevHeader, split: splitInterface, parse: parseInterface,
		folder: sys("class/net"), examine: s.cfg.examineInterface, lines: make([]byte, 16<<10),
	}
	// /proc/net is the reader's own network namespace; below a mounted root,
	// that of the machine's first process is meant.
	if first := proc("1/net/dev"); cfg.RootPath != "/" && exists(first) {
		s.interfaces.file.path = first
	}
	s.links = links{folder: s.interfaces.folder, buf: make([]byte, 64)}
	s.mounts = newMounts(&s.cfg)

	if err := s.readCPU(&s.snapshot); err != nil {
		return nil, errors.Join(fmt.Errorf("host::root_path is %q and its proc/stat cannot be used: %w; "+
			"give the folder where the machine's root, with proc and sys below it, is mounted, or / for this machine", cfg.RootPath, err), s.Close())
	}
	var err error
	if s.bootID, err = readLine(proc("sys/kernel/random/boot_id")); err != nil || s.bootID == "" {
		return nil, errors.Join(fmt.Errorf("host::root_path is %q and has no boot id in proc/sys/kernel/random/boot_id (%w): "+
			"mount the machine's proc there", cfg.RootPath, err), s.Close())
	}
	return s, nil
}

// BootID is the boot of the machine that the source meters.
func (s *Source) BootID() string { return s.bootID }

// Close closes what is kept open. A file system that hangs keeps its goroutine
// until the kernel lets it go. Nothing is sampled after it.
func (s *Source) Close() error {
	for _, f := range []*file{&s.stat, &s.load, &s.mem, &s.disks.file, &s.interfaces.file, &s.watch.events} {
		f.close()
	}
	s.links.keep(0)
	s.mounts.close()
	s.processes.close()
	s.prober.close()
	return nil
}

// Sample reads everything once. The Snapshot is valid until the next Sample. A
// part that fails is absent from it, and its Errors say why; the error here means
// that there is no sample, since not even the CPU counters could be read. When
// ctx ends, file systems that have not answered are waited for no longer.
func (s *Source) Sample(ctx context.Context, at reading.Instant) (*Snapshot, error) {
	sn := &s.snapshot
	*sn = Snapshot{
		At: at, BootID: s.bootID, Errors: sn.Errors[:0],
		Disks: sn.Disks[:0], Interfaces: sn.Interfaces[:0], Filesystems: sn.Filesystems[:0],
	}
	if err := s.readCPU(sn); err != nil {
		return nil, err
	}
	asked := s.askFilesystems(sn)
	sn.HasLoad = sn.note(s.readLoad(sn))
	sn.HasMemory = sn.note(s.readMemory(sn))
	s.readDevices(sn)
	var err error
	sn.Processes, err = s.processes.count(at.Boot)
	sn.HasProcs = sn.note(err)
	if asked {
		s.readFilesystems(ctx, sn)
	}
	sn.allot(&s.flavor)
	return sn, nil
}

// note keeps an error and reports whether there was none.
func (s *Snapshot) note(err error) bool {
	if err != nil {
		s.Errors = append(s.Errors, err)
	}
	return err == nil
}

// readCPU reads as much of /proc/stat as has the CPUs.
func (s *Source) readCPU(sn *Snapshot) error {
	for {
		if len(s.buf) < s.statSize {
			s.buf = make([]byte, s.statSize)
		}
		n, err := s.stat.pread(s.buf[:s.statSize], 0)
		if err != nil {
			return err
		}
		var whole bool
		sn.CPU, sn.CPUs, whole, err = parseStat(s.buf[:n])
		if whole || n < s.statSize || s.statSize >= maxFile {
			return err
		}
		s.statSize *= 2
	}
}

func (s *Source) read(f *file) ([]byte, error) {
	b, err := f.read(s.buf)
	s.buf = b[:cap(b)]
	return b, err
}

func (s *Source) readLoad(sn *Snapshot) error {
	b, err := s.read(&s.load)
	if err != nil {
		return err
	}
	load, err := parseLoad(b)
	sn.Load, sn.Runnable, sn.Threads = load.Average, load.Runnable, load.Threads
	return err
}

func (s *Source) readMemory(sn *Snapshot) error {
	b, err := s.read(&s.mem)
	if err != nil {
		return err
	}
	sn.Memory, err = parseMeminfo(b)
	return err
}

func (s *Source) readDevices(sn *Snapshot) {
	if !sn.note(s.watch.take(sn.At.Boot, &s.disks, &s.interfaces)) {
		return
	}
	if sn.HasDisks = sn.note(s.disks.err); sn.HasDisks {
		for d, v := range s.disks.all() {
			sn.Disks = append(sn.Disks, Disk{d.name, d.birth, *v})
		}
	}
	if sn.HasNetwork = sn.note(s.interfaces.err); sn.HasNetwork {
		for d, v := range s.interfaces.all() {
			speed, known := s.links.speed(len(sn.Interfaces), d, sn.At.Boot)
			sn.Interfaces = append(sn.Interfaces, Interface{d.name, d.birth, speed, known, *v})
		}
		s.links.keep(len(sn.Interfaces))
	}
}

// askFilesystems has the file systems asked while other files are read.
func (s *Source) askFilesystems(sn *Snapshot) bool {
	listed, anew, err := s.mounts.list()
	if !sn.note(err) {
		return false
	}
	if anew {
		s.prober.set(listed)
	}
	s.prober.start()
	return true
}

func (s *Source) readFilesystems(ctx context.Context, sn *Snapshot) {
	var errs []error
	sn.Filesystems, errs = s.prober.finish(ctx, sn.Filesystems)
	sn.HasFilesystems = len(errs) == 0
	sn.Errors = append(sn.Errors, errs...)
}
