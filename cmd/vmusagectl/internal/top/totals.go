package top

import (
	"fmt"
	"strings"
)

// states is how many rows there are, and of which state.
func states(rows []Row) string {
	var n [4]int
	for i := range rows {
		n[rows[i].rank()+1]++
	}
	s := grouped(len(rows)) + " instances"
	if len(rows) == 1 {
		s = "1 instance"
	}
	separator := ": "
	for rank := len(levels()) - 1; rank >= -1; rank-- {
		name := "unknown"
		if rank >= 0 {
			name = levels()[rank]
		}
		if n[rank+1] > 0 {
			s += separator + grouped(n[rank+1]) + " " + name
			separator = ", "
		}
	}
	return s
}

// totals is the sum of what is known of all rows.
func totals(rows []Row) string {
	var busy, cpus, used, limit, read, write, in, out *float64
	for i := range rows {
		r := &rows[i]
		if r.CPU != nil && r.CPUs != nil {
			busy, cpus = plus(busy, new(*r.CPU**r.CPUs)), plus(cpus, r.CPUs)
		}
		if r.MemoryUsed != nil && r.MemoryLimit != nil {
			used, limit = plus(used, r.MemoryUsed), plus(limit, r.MemoryLimit)
		}
		read, write = plus(read, r.DiskRead), plus(write, r.DiskWrite)
		in, out = plus(in, r.NetReceive), plus(out, r.NetTransmit)
	}
	var parts []string
	if cpus != nil {
		parts = append(parts, fmt.Sprintf("CPU %.1f of %s vCPUs", *busy, count(cpus)))
	}
	if limit != nil {
		parts = append(parts, "memory "+bytes(used)+"B of "+bytes(limit)+"B")
	}
	if read != nil || write != nil {
		parts = append(parts, "disk "+bytes(read)+"B/s read, "+bytes(write)+"B/s written")
	}
	if in != nil || out != nil {
		parts = append(parts, "network "+bytes(in)+"B/s in, "+bytes(out)+"B/s out")
	}
	return strings.Join(parts, "; ")
}
