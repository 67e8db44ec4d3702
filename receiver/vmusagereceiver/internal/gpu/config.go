package gpu

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// Config is the section `gpu` of the receiver.
type Config struct {
	// NVMLPath is the library to load; empty: libnvidia-ml.so.1 from where the
	// loader finds it.
	NVMLPath string `mapstructure:"nvml_path"`
	// Timeout bounds how long a sample waits for all GPUs together. One that has
	// not answered then is left out of the sample.
	Timeout time.Duration `mapstructure:"timeout"`
	// PollInterval is how often the driver's buffer of utilization samples and the
	// memory in use are read. The buffer holds a few seconds at least.
	PollInterval time.Duration `mapstructure:"poll_interval"`
	// RescanInterval is how often GPUs are enumerated anew.
	RescanInterval time.Duration `mapstructure:"rescan_interval"`
	// Include and Exclude choose GPUs. What exclude matches does not count; with
	// include, only what it matches does. A MIG instance counts if its GPU does
	// and is not excluded by its own UUID.
	Include Selection `mapstructure:"include"`
	Exclude Selection `mapstructure:"exclude"`
	// Instances attributes GPUs to instances other than the machine itself.
	Instances []Attribution `mapstructure:"instances"`
}

// A Selection names GPUs; it matches what any of its lists matches.
type Selection struct {
	UUIDs   []string `mapstructure:"uuids"`
	Indices []int    `mapstructure:"indices"` // as NVML and nvidia-smi number them
	Models  []string `mapstructure:"models"`  // globs, such as "NVIDIA H100*"
}

// An Attribution says whose GPUs some are.
type Attribution struct {
	Instance Instance `mapstructure:"instance"`
	// GPUs are UUIDs of GPUs or MIG instances, or indices of GPUs. A GPU stands
	// for all its MIG instances, except for those that are named themselves.
	GPUs []string `mapstructure:"gpus"`
}

// An Instance is who a GPU is attributed to.
type Instance struct {
	ID         string            `mapstructure:"id"`
	Name       string            `mapstructure:"name"`
	UserID     string            `mapstructure:"user_id"`
	OrgID      string            `mapstructure:"org_id"`
	Hypervisor string            `mapstructure:"hypervisor"` // empty: none
	Labels     map[string]string `mapstructure:"labels"`
}

const (
	minPoll      = 100 * time.Millisecond
	maxPoll      = 10 * time.Second
	minRescan    = time.Second
	minTimeout   = 10 * time.Millisecond
	maxInstances = 1024
)

// Hypervisors are the values that vm.hypervisor may have.
var hypervisors = [...]string{"", "none", "qemu", "cloud_hypervisor", "firecracker"}

// DefaultConfig meters all GPUs of this machine.
func DefaultConfig() Config {
	return Config{Timeout: 500 * time.Millisecond, PollInterval: 2 * time.Second, RescanInterval: 30 * time.Second}
}

// Validate says all that is wrong, each with key, value and remedy. It does not
// look for a driver.
func (c *Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !Built {
		fail("gpu is set, but this binary was built without cgo, which NVML is reached through: build it with CGO_ENABLED=1 (ocb: dist::cgo_enabled: true), or remove the section")
	}
	if c.NVMLPath != "" && !path.IsAbs(c.NVMLPath) {
		fail("nvml_path is %q: it must be an absolute path to a libnvidia-ml.so, or empty for the loader's own", c.NVMLPath)
	}
	if c.Timeout < minTimeout {
		fail("timeout is %v: it must be at least %v, such as 500ms", c.Timeout, minTimeout)
	}
	if c.PollInterval < minPoll || c.PollInterval > maxPoll {
		fail("poll_interval is %v: it must be %v to %v, since the driver keeps samples for some seconds only", c.PollInterval, minPoll, maxPoll)
	}
	if c.RescanInterval < minRescan {
		fail("rescan_interval is %v: it must be at least %v, such as 30s", c.RescanInterval, minRescan)
	}
	errs = append(errs, c.Include.validate("include"), c.Exclude.validate("exclude"), c.validateInstances())
	return errors.Join(errs...)
}

func (s *Selection) validate(key string) error {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf(key+"::"+format, args...))
	}
	for _, u := range s.UUIDs {
		if !isUUID(u) {
			fail("uuids: %q is no UUID of NVML: write one such as GPU-..., as `nvidia-smi -L` shows it", u)
		}
	}
	for _, i := range s.Indices {
		if i < 0 {
			fail("indices: %d is negative: GPUs are numbered from 0", i)
		}
	}
	for _, p := range s.Models {
		if _, err := path.Match(p, ""); err != nil || p == "" {
			fail("models: %q is no pattern: use a name or a glob such as *H100*, with every [ closed", p)
		}
	}
	return errors.Join(errs...)
}

func isUUID(s string) bool {
	return (strings.HasPrefix(s, "GPU-") || strings.HasPrefix(s, "MIG-")) && len(s) > 4 && len(s) < 96
}

// index returns the number that a reference to a GPU is, if it is none of a UUID.
func index(ref string) (int, bool) {
	n := 0
	for _, r := range ref {
		if r < '0' || r > '9' || n > 1<<16 {
			return 0, false
		}
		n = 10*n + int(r-'0')
	}
	return n, ref != ""
}

func (c *Config) validateInstances() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(c.Instances) > maxInstances {
		fail("instances has %d entries: at most %d are allowed", len(c.Instances), maxInstances)
	}
	ids, refs := map[string]int{}, map[string]int{}
	for i := range c.Instances {
		a := &c.Instances[i]
		if first, twice := ids[a.Instance.ID]; twice {
			fail("instances[%d]::instance::id is %q, as in instances[%d]: name all its GPUs in one entry", i, a.Instance.ID, first)
		}
		ids[a.Instance.ID] = i
		if !slices.Contains(hypervisors[:], a.Instance.Hypervisor) {
			fail("instances[%d]::instance::hypervisor is %q: it must be none, qemu, cloud_hypervisor or firecracker", i, a.Instance.Hypervisor)
		}
		if len(a.GPUs) == 0 {
			fail("instances[%d]::gpus is empty: name its GPUs by UUID or index, or remove the entry", i)
		}
		for _, ref := range a.GPUs {
			if _, number := index(ref); !number && !isUUID(ref) {
				fail("instances[%d]::gpus: %q is neither an index nor a UUID of NVML such as GPU-... or MIG-...", i, ref)
			}
			if first, twice := refs[ref]; twice {
				fail("instances[%d]::gpus: %q is already in instances[%d]: a GPU belongs to one instance", i, ref, first)
			}
			refs[ref] = i
		}
	}
	return errors.Join(errs...)
}

// counts reports whether the configuration wants a GPU metered.
func (c *Config) counts(id *Identity) bool {
	if c.Exclude.matches(id) {
		return false
	}
	return c.Include.empty() || c.Include.matches(id)
}

func (s *Selection) empty() bool { return len(s.UUIDs)+len(s.Indices)+len(s.Models) == 0 }

func (s *Selection) matches(id *Identity) bool {
	return slices.Contains(s.UUIDs, id.UUID) || slices.Contains(s.Indices, id.Index) ||
		slices.ContainsFunc(s.Models, func(p string) bool {
			ok, _ := path.Match(p, id.Model) // validated: the pattern is well formed
			return ok
		})
}

// owner returns the place in Instances of who has a GPU or, with parent, a MIG
// instance; -1 is the machine itself.
func (c *Config) owner(id, parent *Identity) int {
	fallback := -1
	for i := range c.Instances {
		for _, ref := range c.Instances[i].GPUs {
			if ref == id.UUID {
				return i
			}
			gpu := id
			if parent != nil {
				gpu = parent
			}
			if n, number := index(ref); ref == gpu.UUID || number && n == gpu.Index {
				fallback = i
			}
		}
	}
	return fallback
}
