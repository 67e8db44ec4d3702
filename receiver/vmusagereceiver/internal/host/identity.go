package host

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// MachineID returns what identifies the machine across reboots: the machine id
// (machine-id(5)), else the product UUID of its firmware, else a hash of its
// host name, which is as unique as that name. It fails where there is none of
// them, or where the name is only localhost.
func (s *Source) MachineID() (string, error) {
	var errs []error
	for _, p := range []string{"etc/machine-id", "var/lib/dbus/machine-id", "sys/class/dmi/id/product_uuid"} {
		id, err := readLine(filepath.Join(s.cfg.RootPath, p))
		id = strings.ToLower(id)
		if err == nil && identifies(id) {
			return id, nil
		}
		if err == nil {
			err = fmt.Errorf("%s holds %q", p, id)
		}
		errs = append(errs, err)
	}
	name := s.Hostname()
	if name == "" || name == "localhost" || strings.HasPrefix(name, "localhost.") {
		return "", errors.Join(append(errs, fmt.Errorf("the host name is %q", name))...)
	}
	sum := sha256.Sum256([]byte("host name\x00" + name))
	return hex.EncodeToString(sum[:16]), nil
}

// identifies reports whether id is 128 bits in hexadecimal digits, with the
// hyphens of a UUID or without, and not what firmware has where nobody set it.
func identifies(id string) bool {
	digits := strings.ReplaceAll(id, "-", "")
	_, err := hex.DecodeString(digits)
	return err == nil && len(digits) == 32 && (len(id) == 32 || len(id) == 36) &&
		strings.Trim(digits, "0") != "" && strings.Trim(digits, "f") != ""
}

// Hostname returns the name of the machine, or "" where it has none.
func (s *Source) Hostname() string {
	// The kernel's own, except for a mounted root, whose UTS namespace is another.
	if s.cfg.RootPath != "/" {
		return content(filepath.Join(s.cfg.RootPath, "etc/hostname"))
	}
	name, _ := os.Hostname()
	return name
}

func readLine(path string) (string, error) {
	b, err := os.ReadFile(path)
	l, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(l), err
}
