package host

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"time"
)

// Config is the section `host` of the receiver.
type Config struct {
	// RootPath is where the root of the metered machine is mounted: "/" for
	// this machine, /hostfs or the like in a container. Below it are proc, sys,
	// etc and the mount points.
	RootPath string `mapstructure:"root_path"`
	// Disks chooses block devices by name. By default whole devices count, and
	// of stacked ones (dm, md) those that lie below. Partitions never do.
	Disks Filter `mapstructure:"disks"`
	// Network chooses interfaces by name. By default those with a device behind
	// them count, so that bridges, bonds and veths count nothing twice.
	Network Filter `mapstructure:"network"`
	// Filesystems chooses file systems.
	Filesystems FilesystemConfig `mapstructure:"filesystems"`
}

// A Filter chooses names by glob patterns (path.Match, whose * does not cross a
// slash). What exclude matches does not count. With include, exactly what it
// matches counts, also what by default would not; without it, the default decides.
type Filter struct {
	Include []string `mapstructure:"include"`
	Exclude []string `mapstructure:"exclude"`
}

// FilesystemConfig chooses file systems. By default those on block devices
// count, each once.
type FilesystemConfig struct {
	// MountPoints and Types choose by mount point and by type. Either may
	// exclude; where both include, both have to match.
	MountPoints Filter `mapstructure:"mount_points"`
	Types       Filter `mapstructure:"fs_types"`
	// Network counts network file systems, too.
	Network bool `mapstructure:"network"`
	// Timeout bounds how long a sample waits for all file systems together. One
	// that does not answer is left out until it does.
	Timeout time.Duration `mapstructure:"timeout"`
}

// DefaultConfig meters all of this machine.
func DefaultConfig() Config {
	return Config{RootPath: "/", Filesystems: FilesystemConfig{Timeout: 2 * time.Second}}
}

// Validate says all that is wrong, each with key, value and remedy. It does not
// look at the disk.
func (c *Config) Validate() error {
	var errs []error
	if !path.IsAbs(c.RootPath) {
		errs = append(errs, fmt.Errorf("root_path is %q: it must be an absolute path, / for this machine", c.RootPath))
	}
	if c.Filesystems.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("filesystems::timeout is %v: it must be positive, such as 2s", c.Filesystems.Timeout))
	}
	for _, l := range []struct {
		key      string
		patterns []string
	}{
		{"disks::include", c.Disks.Include},
		{"disks::exclude", c.Disks.Exclude},
		{"network::include", c.Network.Include},
		{"network::exclude", c.Network.Exclude},
		{"filesystems::mount_points::include", c.Filesystems.MountPoints.Include},
		{"filesystems::mount_points::exclude", c.Filesystems.MountPoints.Exclude},
		{"filesystems::fs_types::include", c.Filesystems.Types.Include},
		{"filesystems::fs_types::exclude", c.Filesystems.Types.Exclude},
	} {
		for _, p := range l.patterns {
			if _, err := path.Match(p, ""); err != nil || p == "" {
				errs = append(errs, fmt.Errorf("%s: %q is no pattern: use a name or a glob such as vd*, with every [ closed", l.key, p))
			}
		}
	}
	return errors.Join(errs...)
}

// A verdict is what a filter says of a name.
type verdict uint8

const (
	open     verdict = iota // the default decides
	included                // whatever the default is
	excluded
)

func (f *Filter) judge(name string) verdict {
	switch {
	case matchAny(f.Exclude, name):
		return excluded
	case len(f.Include) == 0:
		return open
	case matchAny(f.Include, name):
		return included
	default:
		return excluded
	}
}

// judge says whether a file system counts.
func (c *FilesystemConfig) judge(mountPoint, fsType string) verdict {
	// excluded is the largest, open the smallest: the stronger word counts.
	return max(c.MountPoints.judge(mountPoint), c.Types.judge(fsType))
}

func matchAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, _ := path.Match(p, name) // validated: the pattern is well formed
		return ok
	})
}
