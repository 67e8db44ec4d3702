package usage

import (
	"slices"

	"github.com/google/uuid"
)

// An Instance is a metered machine and who owns it: what becomes the resource
// of its metrics.
type Instance struct {
	ID         string // vm.id, the billing key; never empty
	Name       string // vm.name
	Hypervisor string // vm.hypervisor: none, qemu, cloud_hypervisor, firecracker; none is the machine itself
	HostID     string // host.id of the machine that meters it
	HostName   string // host.name
	UserID     string // user.id; empty where it has no owner
	OrgID      string // org.id; empty where it belongs to none
	Labels     []Label
}

// A Label is a resource attribute of the operator's own.
type Label struct{ Key, Value string }

// Equal reports whether both name the same instance with the same owner and labels.
func (i *Instance) Equal(o *Instance) bool {
	return i.ID == o.ID && i.Name == o.Name && i.Hypervisor == o.Hypervisor &&
		i.HostID == o.HostID && i.HostName == o.HostName &&
		i.UserID == o.UserID && i.OrgID == o.OrgID && slices.Equal(i.Labels, o.Labels)
}

// A Flavor is what an instance was allotted. A change of it closes the period.
type Flavor struct {
	VCPUs        int64
	MemoryBytes  int64
	StorageBytes int64 // informative: a file system that grows does not close a period
	GPUs         int64
}

// A Stream is one ledger's metering of one instance. It is minted when no
// durable record of the instance exists, and sequence and totals are its own.
type Stream struct {
	ID     uuid.UUID
	Source string // host, qemu, ...
	HostID string // the machine whose ledger it is
	Run    string // boot id and, for a guest, process start: which run of the instance the period saw
	Start  int64  // unix ns at which its first period started
}

// Quality says how an amount was come by.
type Quality uint8

// The qualities, from best to worst.
const (
	Measured  Quality = iota // from samples of this very period
	Recovered                // bridged over an outage by a counter that survived it
	Gap                      // not known: never to be read as zero
	NumQualities
)

var qualityNames = [NumQualities]string{"measured", "recovered", "gap"}

// String returns measured, recovered or gap.
func (q Quality) String() string {
	if q >= NumQualities {
		return "unknown"
	}
	return qualityNames[q]
}

// ParseQuality is the inverse of String.
func ParseQuality(s string) (Quality, bool) {
	i := slices.Index(qualityNames[:], s)
	return Quality(max(i, 0)), i >= 0
}

// FullCoverage is the coverage of a meter that was sampled all the time.
const FullCoverage = 1_000_000

// DeviceUsage is what one device adds to the meters of its class. The amounts
// of all devices of a class sum up to the instance's.
type DeviceUsage struct {
	Class   Class
	ID      string // disk: its name; interface: its name; GPU: its UUID
	Model   string // GPU: its model; else empty
	Amounts [DeviceMeters]int64
}

// A Statistic is the time-weighted average and the maximum of a utilization
// over what was really sampled, both in millionths of what was allotted.
type Statistic struct {
	Avg, Max int64
	Valid    bool // false where nothing was sampled
}

// A Utilization is one of the utilizations that a period has statistics of.
type Utilization uint8

// The utilizations.
const (
	CPUUtilization Utilization = iota
	MemoryUtilization
	StorageUtilization
	GPUUtilization
	NumUtilizations // how many there are; not a utilization
)

var utilizationNames = [NumUtilizations]string{"cpu.utilization", "memory.utilization", "storage.utilization", "gpu.utilization"}

// String returns the attribute value for u: "cpu.utilization".
func (u Utilization) String() string { return utilizationNames[u] }

// A Period is what one instance used between two measured instants. Once
// closed it never changes: whoever sees it again sees the same values under the
// same id.
type Period struct {
	Instance Instance
	Flavor   Flavor
	Stream   Stream
	Sequence uint64 // 1 for the first period of a stream, then contiguous
	// Joined is how many consecutive periods this one was joined from, where that
	// is more than one; 0 and 1 both mean it is as it was closed. Sequence is that
	// of the last of them: the period before it has Sequence - max(Joined,1).
	Joined uint32

	Start    int64 // unix ns, inclusive; the previous period's End
	End      int64 // unix ns, exclusive; never before Start
	Duration int64 // ns by CLOCK_BOOTTIME, whatever the wall clock did

	Metered  MeterSet // which meters the instance has
	Usage    Amounts  // in this period; equals the sum over Devices for meters of devices
	Totals   Amounts  // since the stream began, this period included
	Quality  [NumMeters]Quality
	Coverage [NumMeters]int32 // share really sampled, in millionths: 0..FullCoverage
	Devices  []DeviceUsage    // ordered by class, then id
	Stats    [NumUtilizations]Statistic

	ClockStepped bool // the wall clock was set within the period: End-Start is not Duration
	Final        bool // the instance is gone: no period follows
}

// FirstSequence returns the sequence of the first of the periods that p was
// joined from, which is p's own where it is as it was closed.
func (p *Period) FirstSequence() uint64 { return p.Sequence - uint64(max(p.Joined, 1)) + 1 }

// WorstQuality returns the worst quality among the meters of the period.
func (p *Period) WorstQuality() Quality {
	worst := Measured
	for m := range p.Metered.All() {
		worst = max(worst, p.Quality[m])
	}
	return worst
}

// LeastCoverage returns the least coverage among the meters of the period.
func (p *Period) LeastCoverage() int32 {
	least := int32(FullCoverage)
	for m := range p.Metered.All() {
		least = min(least, p.Coverage[m])
	}
	return least
}

// Reset empties p for reuse and keeps the memory of its slices.
func (p *Period) Reset() {
	*p = Period{
		Instance: Instance{Labels: p.Instance.Labels[:0]},
		Devices:  p.Devices[:0],
	}
}
