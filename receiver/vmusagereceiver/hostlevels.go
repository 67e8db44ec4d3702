package vmusagereceiver

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/metadata"
)

const secondsPerTick = 0.01 // USER_HZ is 100

func (s *hostSource) recordCPU(ts pcommon.Timestamp) {
	sn, mb := s.snapshot, s.builder
	for _, m := range [...]struct {
		ticks uint64
		mode  metadata.AttributeCPUMode
	}{
		{sn.CPU.User, metadata.AttributeCPUModeUser},
		{sn.CPU.Nice, metadata.AttributeCPUModeNice},
		{sn.CPU.System, metadata.AttributeCPUModeSystem},
		{sn.CPU.Idle, metadata.AttributeCPUModeIdle},
		{sn.CPU.IOWait, metadata.AttributeCPUModeIowait},
		{sn.CPU.IRQ, metadata.AttributeCPUModeInterrupt},
		{sn.CPU.SoftIRQ, metadata.AttributeCPUModeSoftirq},
		{sn.CPU.Steal, metadata.AttributeCPUModeSteal},
	} {
		mb.RecordVMCPUTimeDataPoint(ts, float64(m.ticks)*secondsPerTick, m.mode)
	}
	mb.RecordVMCPULogicalCountDataPoint(ts, int64(sn.CPUs))
	now := busy{at: s.reading.At.Boot, micros: int64(sn.CPU.BusyMicros()), known: true} //nolint:gosec // microseconds since boot
	if elapsed := (now.at - s.last.at) / 1000; s.last.known && elapsed > 0 && sn.CPUs > 0 {
		used := float64(now.micros-s.last.micros) / float64(elapsed*int64(sn.CPUs))
		mb.RecordVMCPUUtilizationDataPoint(ts, min(max(used, 0), 1))
	}
	s.last = now
	if sn.HasLoad {
		mb.RecordVMCPULoadAverage1mDataPoint(ts, sn.Load[0])
		mb.RecordVMCPULoadAverage5mDataPoint(ts, sn.Load[1])
		mb.RecordVMCPULoadAverage15mDataPoint(ts, sn.Load[2])
	}
	if sn.HasProcs {
		mb.RecordVMProcessCountDataPoint(ts, sn.Processes)
	}
	mb.RecordVMUptimeDataPoint(ts, sn.Uptime())
}

func (s *hostSource) recordMemory(ts pcommon.Timestamp) {
	sn, mb := s.snapshot, s.builder
	if !sn.HasMemory {
		return
	}
	m := &sn.Memory
	mb.RecordVMMemoryUsageDataPoint(ts, integer(m.Used()))
	mb.RecordVMMemoryLimitDataPoint(ts, integer(m.Total))
	mb.RecordVMMemoryFreeDataPoint(ts, integer(m.Free))
	if m.Total > 0 {
		mb.RecordVMMemoryUtilizationDataPoint(ts, float64(m.Used())/float64(m.Total))
	}
	mb.RecordVMPagingUsageDataPoint(ts, integer(m.SwapTotal-min(m.SwapFree, m.SwapTotal)), metadata.AttributeSystemPagingStateUsed)
	mb.RecordVMPagingUsageDataPoint(ts, integer(m.SwapFree), metadata.AttributeSystemPagingStateFree)
}

func (s *hostSource) recordStorage(ts pcommon.Timestamp) {
	sn, mb := s.snapshot, s.builder
	const read, write = metadata.AttributeDiskIoDirectionRead, metadata.AttributeDiskIoDirectionWrite
	for i := range sn.Disks {
		d := &sn.Disks[i]
		mb.RecordVMDiskIoDataPoint(ts, integer(d.ReadBytes()), d.Name, read)
		mb.RecordVMDiskIoDataPoint(ts, integer(d.WriteBytes()), d.Name, write)
		mb.RecordVMDiskOperationsDataPoint(ts, integer(d.Reads), d.Name, read)
		mb.RecordVMDiskOperationsDataPoint(ts, integer(d.Writes), d.Name, write)
		mb.RecordVMDiskOperationTimeDataPoint(ts, float64(d.ReadMillis)/1000, d.Name, read)
		mb.RecordVMDiskOperationTimeDataPoint(ts, float64(d.WriteMillis)/1000, d.Name, write)
		mb.RecordVMDiskMergedDataPoint(ts, integer(d.ReadsMerged), d.Name, read)
		mb.RecordVMDiskMergedDataPoint(ts, integer(d.WritesMerged), d.Name, write)
		mb.RecordVMDiskPendingOperationsDataPoint(ts, integer(d.InProgress), d.Name)
		mb.RecordVMDiskIoTimeDataPoint(ts, float64(d.IOMillis)/1000, d.Name)
		mb.RecordVMDiskWeightedIoTimeDataPoint(ts, float64(d.WeightedIOMillis)/1000, d.Name)
	}
	for i := range sn.Filesystems {
		f := &sn.Filesystems[i]
		mb.RecordVMFilesystemUsageDataPoint(ts, integer(f.Used()), f.Device, f.MountPoint, f.Type, metadata.AttributeSystemFilesystemStateUsed)
		mb.RecordVMFilesystemUsageDataPoint(ts, integer(f.Available), f.Device, f.MountPoint, f.Type, metadata.AttributeSystemFilesystemStateFree)
		mb.RecordVMFilesystemUsageDataPoint(ts, integer(f.Free-f.Available), f.Device, f.MountPoint, f.Type, metadata.AttributeSystemFilesystemStateReserved)
		if f.Total > 0 {
			mb.RecordVMFilesystemUtilizationDataPoint(ts, float64(f.Used())/float64(f.Total), f.Device, f.MountPoint, f.Type)
		}
	}
	if sn.HasFilesystems {
		used, total := sn.Storage()
		mb.RecordVMStorageUsageDataPoint(ts, integer(used))
		mb.RecordVMStorageLimitDataPoint(ts, integer(total))
	}
}

func (s *hostSource) recordNetwork(ts pcommon.Timestamp) {
	mb := s.builder
	const transmit, receive = metadata.AttributeNetworkIoDirectionTransmit, metadata.AttributeNetworkIoDirectionReceive
	for i := range s.snapshot.Interfaces {
		n := &s.snapshot.Interfaces[i]
		mb.RecordVMNetworkIoDataPoint(ts, integer(n.TxBytes), n.Name, transmit)
		mb.RecordVMNetworkIoDataPoint(ts, integer(n.RxBytes), n.Name, receive)
		mb.RecordVMNetworkPacketCountDataPoint(ts, integer(n.TxPackets), n.Name, transmit)
		mb.RecordVMNetworkPacketCountDataPoint(ts, integer(n.RxPackets), n.Name, receive)
		mb.RecordVMNetworkPacketDroppedDataPoint(ts, integer(n.TxDropped), n.Name, transmit)
		mb.RecordVMNetworkPacketDroppedDataPoint(ts, integer(n.RxDropped), n.Name, receive)
		mb.RecordVMNetworkErrorsDataPoint(ts, integer(n.TxErrors), n.Name, transmit)
		mb.RecordVMNetworkErrorsDataPoint(ts, integer(n.RxErrors), n.Name, receive)
		if n.HasSpeed {
			mb.RecordVMNetworkSpeedDataPoint(ts, n.Speed, n.Name)
		}
	}
}

// integer is a kernel counter as OTLP has it: signed, and beyond 63 bits is none
// that any machine reaches.
func integer(n uint64) int64 { return int64(n) } //nolint:gosec // see above
