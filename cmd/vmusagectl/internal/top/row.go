package top

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Row is what is shown of an instance. As JSON it is for scripts: members are never
// renamed or taken away, and their order stays; what is not known is null.
type Row struct {
	ID     string  `json:"id"`
	Name   string  `json:"name"`
	UserID *string `json:"user_id"`
	OrgID  *string `json:"org_id"`
	Level  *string `json:"level"` // ok, warning or critical

	At  *time.Time `json:"at"`          // when the levels were read
	Age *float64   `json:"age_seconds"` // by the clock of the API, which counts whole seconds

	CPU  *float64 `json:"cpu_utilization_ratio"` // of all its CPUs, 0 to 1
	CPUs *float64 `json:"cpu_count"`

	MemoryUsed  *float64 `json:"memory_used_bytes"`
	MemoryLimit *float64 `json:"memory_limit_bytes"`
	Memory      *float64 `json:"memory_utilization_ratio"`

	DiskReadTotal    *int64 `json:"disk_read_bytes_total"`
	DiskWriteTotal   *int64 `json:"disk_write_bytes_total"`
	NetReceiveTotal  *int64 `json:"network_receive_bytes_total"`
	NetTransmitTotal *int64 `json:"network_transmit_bytes_total"`

	DiskRead    rate `json:"disk_read_bytes_per_second"`
	DiskWrite   rate `json:"disk_write_bytes_per_second"`
	NetReceive  rate `json:"network_receive_bytes_per_second"`
	NetTransmit rate `json:"network_transmit_bytes_per_second"`

	GPUs int      `json:"gpu_count"`
	GPU  *float64 `json:"gpu_utilization_max_ratio"` // of the busiest
}

// A Snapshot is the answer to one poll.
type Snapshot struct {
	Readings []Reading
	Health   Health
	Asked    time.Time // by the clock of the API, which counts whole seconds
}

// Rows returns a row for each reading. rates are those of [Tracker.Next].
func Rows(s *Snapshot, rates []Rates) []Row {
	rows := make([]Row, len(s.Readings))
	for i := range s.Readings {
		r, t := &s.Readings[i], s.Readings[i].total()
		rows[i] = Row{
			ID: r.ID, Name: r.Name, UserID: r.UserID, OrgID: r.OrgID, At: r.At, Age: ageAt(r.At, s.Asked),
			CPU: r.CPU.Utilization, CPUs: r.CPU.Count,
			MemoryUsed: r.Memory.Used, MemoryLimit: r.Memory.Limit, Memory: r.Memory.Utilization,
			DiskReadTotal: t[diskRead], DiskWriteTotal: t[diskWrite],
			NetReceiveTotal: t[netReceive], NetTransmitTotal: t[netTransmit],
			DiskRead: rates[i].DiskRead, DiskWrite: rates[i].DiskWrite,
			NetReceive: rates[i].NetReceive, NetTransmit: rates[i].NetTransmit,
			GPUs: len(r.GPUs), GPU: r.busiest(),
		}
		if level := r.Thresholds.Level; level != "" {
			rows[i].Level = &level
		}
	}
	return rows
}

// ageAt is never less than 0: the clocks of two machines are not the same.
func ageAt(at *time.Time, now time.Time) *float64 {
	if at == nil || now.IsZero() {
		return nil
	}
	age := max(0, now.Sub(*at).Seconds())
	return &age
}

// WriteJSON writes rows as one array, a line each. What a terminal might obey is escaped.
func WriteJSON(w io.Writer, rows []Row) error {
	b := bufio.NewWriter(w)
	separator := "["
	for i := range rows {
		text, err := json.Marshal(&rows[i])
		if err != nil {
			return fmt.Errorf("instance %q: %w", rows[i].ID, err)
		}
		_, _ = b.WriteString(separator + "\n")
		_, _ = b.Write(escaped(text))
		separator = ","
	}
	if len(rows) == 0 {
		_, _ = b.WriteString("[")
	}
	_, _ = b.WriteString("\n]\n")
	return b.Flush()
}

// escaped writes what is not printable as \u escapes. JSON has such runes in strings only.
func escaped(text []byte) []byte {
	var b []byte
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		switch {
		case unicode.IsPrint(r):
			b = append(b, text[i:i+n]...)
		case r > 0xffff:
			b = fmt.Appendf(b, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
		i += n
	}
	return b
}
