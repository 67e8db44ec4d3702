package gpu

// A Value is a level that may not be there.
type Value struct {
	N  uint64
	OK bool
}

// Levels are what a GPU or MIG instance said of itself at a sample. What it does
// not offer, or what was not asked for, is not OK.
type Levels struct {
	Used, Total               Value // bytes of memory
	Energy                    Value // mJ since the driver was loaded
	Power                     Value // mW
	Temperature               Value // degrees Celsius
	ECCCorrected              Value // over the lifetime of the GPU
	ECCUncorrected            Value
	RetiredCorrected          Value // pages or rows
	RetiredUncorrected        Value
	Xids                      Value // errors that the driver reported since this process watches
	SMClock, MemoryClock      Value // MHz
	PCIeTransmit, PCIeReceive Value // bytes, cumulative; the driver wraps it
	LinkTransmit, LinkReceive Value // bytes since the driver was loaded
	Processes                 []Process
	VGPUs                     []VGPU
}

// Wants are the levels that cost calls and that somebody wants.
type Wants struct {
	Power, Temperature, Errors, Clocks, PCIe, NVLink, Processes, VGPUs bool
}

// A call is a function of NVML that a device may not offer.
type call uint8

const (
	callSamples call = iota
	callUtilization
	callMemory
	callEnergy
	callPower
	callTemperature
	callECC
	callRetired
	callXid
	callClocks
	callPCIe
	callNVLink
	callProcesses
	callVGPUs
)

// levels asks for what is wanted beside usage. An error is one after which
// nothing of this GPU answers.
func (w *worker) levels(u *unit, l *Levels) error {
	wants := &w.meter.set.Wants
	for _, ask := range [...]struct {
		wanted bool
		call   call
		do     func() error
	}{
		{wants.Power, callPower, func() error {
			n, err := u.dev.Power()
			l.Power = value(uint64(n), err)
			return err
		}},
		{wants.Temperature, callTemperature, func() error {
			n, err := u.dev.Temperature()
			l.Temperature = value(uint64(n), err)
			return err
		}},
		{wants.Errors, callECC, func() error {
			c, n, err := u.dev.ECC()
			l.ECCCorrected, l.ECCUncorrected = value(c, err), value(n, err)
			return err
		}},
		{wants.Errors, callRetired, func() error {
			c, n, err := u.dev.Retired()
			l.RetiredCorrected, l.RetiredUncorrected = value(c, err), value(n, err)
			return err
		}},
		{wants.Errors, callXid, func() error {
			xids, err := u.dev.Xid()
			u.xids += uint64(len(xids))
			l.Xids = value(u.xids, err)
			return err
		}},
		{wants.Clocks, callClocks, func() error {
			sm, mem, err := u.dev.Clocks()
			l.SMClock, l.MemoryClock = value(uint64(sm), err), value(uint64(mem), err)
			return err
		}},
		{wants.PCIe, callPCIe, func() error {
			tx, rx, err := u.dev.PCIe()
			l.PCIeTransmit, l.PCIeReceive = value(tx, err), value(rx, err)
			return err
		}},
		{wants.NVLink, callNVLink, func() error {
			tx, rx, err := u.dev.NVLink()
			l.LinkTransmit, l.LinkReceive = value(tx, err), value(rx, err)
			return err
		}},
		{wants.Processes, callProcesses, func() (err error) {
			l.Processes, err = u.dev.Processes(l.Processes)
			return err
		}},
		{wants.VGPUs, callVGPUs, func() (err error) {
			l.VGPUs, err = u.dev.VGPUs(l.VGPUs)
			return err
		}},
	} {
		if ask.wanted {
			if _, err := w.ask(u, ask.call, ask.do); err != nil {
				return err
			}
		}
	}
	return nil
}

func value(n uint64, err error) Value { return Value{N: n, OK: err == nil} }
