package host

import "fmt"

// DiskStats are the counters of a block device since it appeared; see
// https://docs.kernel.org/admin-guide/iostats.html. A sector has 512 bytes,
// whatever the device's own. Times are in milliseconds and, in the kernel, 32
// bits wide: they wrap.
type DiskStats struct {
	Reads, ReadsMerged, SectorsRead, ReadMillis       uint64
	Writes, WritesMerged, SectorsWritten, WriteMillis uint64
	InProgress, IOMillis, WeightedIOMillis            uint64
}

const sectorSize = 512

// ReadBytes is what was read.
func (d *DiskStats) ReadBytes() uint64 { return d.SectorsRead * sectorSize }

// WriteBytes is what was written.
func (d *DiskStats) WriteBytes() uint64 { return d.SectorsWritten * sectorSize }

// splitDisk splits a line of /proc/diskstats into the name and the numbers
// after it. Later kernels add numbers at the end (discards, flushes).
//
//	254       0 vda 4824 2830 454138 1588 357 3325 66016 275 0 756 2011 2999 40 37680 146 4 0
func splitDisk(l []byte) (name, values []byte, err error) {
	_, l = field(l)
	_, l = field(l)
	if name, values = field(l); len(name) == 0 {
		return nil, nil, fmt.Errorf("diskstats: a line names no device: %w", errFormat)
	}
	return name, values, nil
}

func parseDisk(values []byte, into *DiskStats) error {
	var v [11]uint64
	if n, ok := numbers(values, v[:]); !ok || n < len(v) {
		return fmt.Errorf("diskstats: %d numbers: %w", n, errFormat)
	}
	const sectors = 1 << 54 // in bytes they fit into 63 bits
	if v[2] > sectors || v[6] > sectors {
		return fmt.Errorf("diskstats: %d and %d sectors: %w", v[2], v[6], errFormat)
	}
	*into = DiskStats{v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10]}
	return nil
}
