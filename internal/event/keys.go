package event

import "github.com/vmusage/otelcol-vmusage/internal/usage"

// classKeys are the keys under "devices".
var classKeys = [usage.NumClasses]string{usage.Disk: "disks", usage.Interface: "interfaces", usage.GPU: "gpus"}

// statKeys are the keys under "stats".
var statKeys = [usage.NumUtilizations]string{
	usage.CPUUtilization:     "cpu_utilization",
	usage.MemoryUtilization:  "memory_utilization",
	usage.StorageUtilization: "storage_utilization",
	usage.GPUUtilization:     "gpu_utilization",
}

// deviceKey returns the key of the i-th amount of a device: the meter's field
// without the word of its class, "disk_read_bytes" as "read_bytes".
func deviceKey(c usage.Class, i int) string {
	return c.Meter(i).Info().Field[len(c.String())+len("_"):]
}

// A memberKey is a key as the encoder copies it, `,"read_bytes":`. The text is in
// an array because a copy of fixed length is a few moves and no call.
type memberKey struct {
	text   [32]byte
	length int
}

func newMemberKey(key string) memberKey {
	var k memberKey
	k.length = copy(k.text[:], `,"`+key+`":`) // TestKeys: all fit
	return k
}

// append appends the key. The comma of an object's first member becomes its
// brace, see closeObject.
func (k *memberKey) append(dst []byte) []byte {
	dst = append(dst, k.text[:]...)
	return dst[:len(dst)-len(k.text)+k.length]
}

// members are the keys of what repeats in an event.
var members = makeMembers()

type memberKeys struct {
	amounts [usage.NumMeters]memberKey
	devices [usage.NumClasses][usage.DeviceMeters]memberKey
}

func makeMembers() (k memberKeys) {
	for m := range usage.NumMeters {
		k.amounts[m] = newMemberKey(m.Info().Field)
	}
	for c := range usage.NumClasses {
		for i := range k.devices[c] {
			k.devices[c][i] = newMemberKey(deviceKey(c, i))
		}
	}
	return k
}

// closeObject closes the object of members that begins at open and has the comma
// of its first member where its brace belongs.
func closeObject(dst []byte, open int) []byte {
	if len(dst) == open {
		return append(dst, '{', '}')
	}
	dst[open] = '{'
	return append(dst, '}')
}
