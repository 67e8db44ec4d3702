package host

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/host/hosttest"
)

func TestMachineID(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"machine id", map[string]string{"etc/machine-id": id + "\n", "sys/class/dmi/id/product_uuid": "x"}, id},
		{"of D-Bus", map[string]string{"etc/machine-id": "uninitialized\n", "var/lib/dbus/machine-id": id}, id},
		{"in capitals", map[string]string{"etc/machine-id": "0123456789ABCDEF0123456789ABCDEF\n"}, id},
		{"firmware", map[string]string{"etc/machine-id": "\n", "sys/class/dmi/id/product_uuid": "4C4C4544-0044-4A10-8052-B3C04F4E3232\n"}, "4c4c4544-0044-4a10-8052-b3c04f4e3232"},
		{"host name", map[string]string{"etc/machine-id": "garbage", "etc/hostname": "db-1\n", "sys/class/dmi/id/product_uuid": "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF\n"}, "ead9b91181f1bdadba92394e1d5546f5"},
		{"zeros", map[string]string{"etc/machine-id": "00000000000000000000000000000000"}, ""},
		{"localhost", map[string]string{"etc/hostname": "localhost.localdomain\n"}, ""},
		{"nothing", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &Source{cfg: config(t.TempDir())}
			for path, content := range c.files {
				hosttest.Put(t, s.cfg.RootPath, path, content)
			}
			got, err := s.MachineID()
			assert.Equal(t, c.want == "", err != nil, "%v", err)
			assert.Equal(t, c.want, got)
		})
	}
}

func TestHostname(t *testing.T) {
	s := &Source{cfg: config(t.TempDir())}
	assert.Empty(t, s.Hostname())
	hosttest.Put(t, s.cfg.RootPath, "etc/hostname", "a.example\n# more\n")
	assert.Equal(t, "a.example", s.Hostname())
	s.cfg.RootPath = "/"
	require.NotEmpty(t, s.Hostname())
}
