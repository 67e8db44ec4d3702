package host

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDefaultConfigIsValid(t *testing.T) {
	c := DefaultConfig()
	require.NoError(t, c.Validate())
}

func TestConfigValidate(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   []string // key, value, remedy
	}{
		{"relative root", func(c *Config) { c.RootPath = "hostfs" }, []string{"root_path", `"hostfs"`, "absolute"}},
		{"empty root", func(c *Config) { c.RootPath = "" }, []string{"root_path", `""`, "/ for this machine"}},
		{"no timeout", func(c *Config) { c.Filesystems.Timeout = 0 }, []string{"filesystems::timeout", "0s", "such as 2s"}},
		{"negative timeout", func(c *Config) { c.Filesystems.Timeout = -time.Second }, []string{"filesystems::timeout", "-1s", "positive"}},
		{"open bracket", func(c *Config) { c.Disks.Include = []string{"vd[a"} }, []string{"disks::include", `"vd[a"`, "glob"}},
		{"empty pattern", func(c *Config) { c.Disks.Exclude = []string{""} }, []string{"disks::exclude", `""`, "use a name"}},
		{"interface", func(c *Config) { c.Network.Exclude = []string{"eth0", `eth\`} }, []string{"network::exclude", `"eth\\"`}},
		{"interface", func(c *Config) { c.Network.Include = []string{"[]"} }, []string{"network::include"}},
		{"mount point", func(c *Config) { c.Filesystems.MountPoints.Include = []string{"/[-"} }, []string{"filesystems::mount_points::include"}},
		{"mount point", func(c *Config) { c.Filesystems.MountPoints.Exclude = []string{"/[-"} }, []string{"filesystems::mount_points::exclude"}},
		{"type", func(c *Config) { c.Filesystems.Types.Include = []string{"[^"} }, []string{"filesystems::fs_types::include"}},
		{"type", func(c *Config) { c.Filesystems.Types.Exclude = []string{"[^"} }, []string{"filesystems::fs_types::exclude"}},
		{"all of it", func(c *Config) { c.RootPath, c.Disks.Include = "", []string{"[", "a["} }, []string{"root_path", `"["`, `"a["`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := DefaultConfig()
			c.change(&cfg)
			err := cfg.Validate()
			for _, w := range c.want {
				assert.ErrorContains(t, err, w)
			}
		})
	}
}

func TestFilterJudge(t *testing.T) {
	for _, c := range []struct {
		filter Filter
		name   string
		want   verdict
	}{
		{Filter{}, "eth0", open},
		{Filter{Include: []string{"eth*"}}, "eth0", included},
		{Filter{Include: []string{"eth*"}}, "lo", excluded},
		{Filter{Exclude: []string{"eth*"}}, "eth0", excluded},
		{Filter{Exclude: []string{"eth*"}}, "lo", open},
		{Filter{Include: []string{"*"}, Exclude: []string{"eth?"}}, "eth0", excluded},
		{Filter{Include: []string{"/srv/*"}}, "/srv/a/b", excluded},
	} {
		assert.Equal(t, c.want, c.filter.judge(c.name), "%v %s", c.filter, c.name)
	}
}
