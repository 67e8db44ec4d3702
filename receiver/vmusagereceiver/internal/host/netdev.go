package host

import (
	"bytes"
	"fmt"
)

// InterfaceStats are the counters of a network interface since it appeared.
// Some drivers set them back to 0 when it goes down.
type InterfaceStats struct {
	RxBytes, RxPackets, RxErrors, RxDropped uint64
	TxBytes, TxPackets, TxErrors, TxDropped uint64
}

// netdevHeader is how many lines of /proc/net/dev come before the first interface.
const netdevHeader = 2

// splitInterface splits a line of /proc/net/dev, see proc_pid_net(5), into the
// name and the numbers after it. On old kernels a large first number follows
// the colon without a blank.
//
//	Inter-|   Receive                                                |  Transmit
//	 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
//	  eth0: 9013087     228    0    0    0     0          0         0    14385     166    0    0    0     0       0          0
func splitInterface(l []byte) (name, values []byte, err error) {
	// The last colon: names of alias interfaces have one of their own.
	i := bytes.LastIndexByte(l, ':')
	if i < 0 {
		return nil, nil, fmt.Errorf("net/dev: a line names no interface: %w", errFormat)
	}
	if name = bytes.TrimLeft(l[:i], " \t"); len(name) == 0 {
		return nil, nil, fmt.Errorf("net/dev: an interface has no name: %w", errFormat)
	}
	return name, l[i+1:], nil
}

func parseInterface(values []byte, into *InterfaceStats) error {
	var v [12]uint64
	if n, ok := numbers(values, v[:]); !ok || n < len(v) {
		return fmt.Errorf("net/dev: %d numbers: %w", n, errFormat)
	}
	*into = InterfaceStats{v[0], v[1], v[2], v[3], v[8], v[9], v[10], v[11]}
	return nil
}
