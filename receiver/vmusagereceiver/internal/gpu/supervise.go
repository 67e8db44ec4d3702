package gpu

import (
	"errors"
	"time"
)

// supervise opens the driver, keeps the workers in step with the GPUs that are
// there, and begins anew when driver or GPU are lost. It makes no call itself.
func (m *Meter) supervise() {
	defer close(m.done)
	defer m.dismiss()
	wait := minReopen
	for {
		err := m.open()
		if err == nil {
			wait = minReopen
			lost := m.watch()
			m.shut()
			if lost == nil {
				return
			}
			m.counts.add(0, 0, 1)
			if codeOf(lost).gpuGone() {
				continue // at once: the other GPUs are there
			}
		}
		if noDriver(err) {
			wait = max(wait, min(m.cfg.RescanInterval, maxReopen))
		}
		if !m.sleep(wait) {
			return
		}
		wait = min(2*wait, maxReopen)
	}
}

// sleep reports false when metering ends.
func (m *Meter) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-m.stop:
		return false
	case <-timer.C:
		return true
	}
}

// open initializes the driver and enumerates the GPUs.
func (m *Meter) open() error {
	err := m.do(m.driver.Open)
	if err == nil {
		m.mu.Lock()
		m.load, m.lost = m.driver.Load(), nil
		m.opened++
		m.mu.Unlock()
		if err = m.enumerate(); err != nil {
			m.shut()
		}
	}
	if errors.Is(err, errClosed) {
		return err
	}
	if err != nil {
		m.mu.Lock()
		m.err = err
		switch {
		case noDriver(err):
			m.state = Absent
		case errors.Is(err, errHangs) || errors.Is(err, errTooMany):
			m.state = Hung
		default:
			m.state = Lost
		}
		m.mu.Unlock()
	}
	m.settle() // what the enumeration found, and could not identify, is there
	return err
}

// settle lets samples that wait for the first enumeration go on.
func (m *Meter) settle() {
	select {
	case <-m.first:
	default:
		close(m.first)
	}
}

// watch enumerates at every interval until NVML has to be initialized anew, and
// says why; nil says that metering ends.
func (m *Meter) watch() error {
	rescan := time.NewTicker(m.cfg.RescanInterval)
	defer rescan.Stop()
	for {
		select {
		case <-m.stop:
			return nil
		case <-rescan.C:
			if err := m.enumerate(); codeOf(err).driverGone() {
				return m.fail(err)
			}
		case <-m.kicks:
		}
		m.replaceHung()
		m.mu.Lock()
		lost := m.lost
		m.lost = nil
		m.mu.Unlock()
		switch code := codeOf(lost); {
		case code.driverGone():
			return m.fail(lost)
		case code.gpuGone() && m.revive():
			if !m.sleep(m.cfg.Timeout) { // so that the other GPUs answer the sample at hand
				return nil
			}
			return m.fail(lost)
		}
	}
}

// revive reports whether it is time to initialize NVML anew for a GPU that is
// lost. That holds up the other GPUs for a moment, so it is done at longer and
// longer intervals, until nothing was lost for a while.
func (m *Meter) revive() bool {
	now := m.clock().Boot
	if now < m.revival {
		return false
	}
	if time.Duration(now-m.revival) > 2*maxReopen {
		m.reviveAfter = minReopen
	}
	m.reviveAfter = min(2*m.reviveAfter, maxReopen)
	m.revival = now + m.reviveAfter.Nanoseconds()
	return true
}

func (m *Meter) fail(err error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !codeOf(err).gpuGone() { // then the others are well
		m.state, m.err = Lost, err
	}
	return err
}

// do makes calls on a goroutine of their own and waits until they return, or
// are given up. What was given up may return later; nobody looks at it then.
func (m *Meter) do(calls func() error) error {
	if m.hanging.Load() >= maxHanging {
		return errTooMany
	}
	returned := make(chan error, 1)
	m.hanging.Add(1)
	go func() {
		err := calls()
		m.hanging.Add(-1)
		returned <- err
	}()
	timer := time.NewTimer(m.cfg.Timeout)
	defer timer.Stop()
	for late := false; ; late = true {
		select {
		case err := <-returned:
			if err != nil {
				m.counts.failed(err)
			}
			return err
		case <-m.stop:
			// Only a moment longer: what does not return is left to itself.
			select {
			case err := <-returned:
				return err
			case <-timer.C:
				return errClosed
			}
		case <-timer.C:
		}
		if late {
			m.counts.add(0, 1, 0)
			return errHangs
		}
		m.mu.Lock()
		m.err = errHangs
		if m.state != Absent {
			m.state = Hung
		}
		m.mu.Unlock()
		m.settle()
		timer.Reset(m.patience)
	}
}
