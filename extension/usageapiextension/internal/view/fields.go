package view

import (
	"fmt"
	"strings"
)

// Fields is a set of members of an instance.
type Fields uint32

// The members; the id is always there.
const (
	Name Fields = 1 << iota
	Hypervisor
	Host
	UserID
	OrgID
	Labels
	At
	CPU
	Memory
	Storage
	Disks
	Network
	GPUs
	ProcessCount
	Uptime
	Period
	Thresholds

	AllFields = 1<<iota - 1
)

// FieldNames are the names of the members, in the order in which they are written.
func FieldNames() []string {
	return []string{
		"name", "hypervisor", "host", "user_id", "org_id", "labels", "at", "cpu", "memory", "storage",
		"disks", "network", "gpus", "process_count", "uptime_seconds", "period", "thresholds",
	}
}

// ParseFields reads a list of names that commas separate.
func ParseFields(list string) (f Fields, err error) {
	names := FieldNames()
next:
	for name := range strings.SplitSeq(list, ",") {
		if name == "id" {
			continue
		}
		for i, n := range names {
			if n == name {
				f |= 1 << i
				continue next
			}
		}
		return 0, fmt.Errorf("has %q: use id, %s", name, strings.Join(names, ", "))
	}
	return f, nil
}
