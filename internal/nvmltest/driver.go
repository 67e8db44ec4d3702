package nvmltest

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ScriptVariable is the environment variable that names the script.
const ScriptVariable = "NVMLSTUB_SCRIPT"

// epoch is the time 0 of scripts whose clock is set.
const epoch = 1_767_225_600 * int64(time.Second/time.Microsecond)

// The words of the control file, which clock.c maps.
const (
	wordNow = iota
	wordEpoch
	wordCalls
	wordHanging
	wordSlow
	controlWords = 512
)

// A Driver is the stub with one script. Its methods may be called from any
// goroutine.
type Driver struct {
	tb      testing.TB
	library string
	script  string
	control *os.File
}

// Start makes the script that of the next nvmlInit of this process, with a clock
// that stands at the script's time 0 until [Driver.Set] moves it. It skips the test
// where the stub cannot be built. Since the script is a matter of the process,
// the test must not be parallel.
func Start(tb testing.TB, script string) *Driver {
	tb.Helper()
	d := Prepare(tb, tb.TempDir(), script)
	tb.Setenv(ScriptVariable, d.script)
	d.Set(0)
	return d
}

// StartReal is Start with the real clock: time 0 is when the script is read.
func StartReal(tb testing.TB, script string) *Driver {
	tb.Helper()
	d := Prepare(tb, tb.TempDir(), script)
	tb.Setenv(ScriptVariable, d.script)
	return d
}

// Prepare puts a library with its script beside it into dir, for a process that
// this one starts. The clock is the real one until it is set.
func Prepare(tb testing.TB, dir, script string) *Driver {
	tb.Helper()
	d := &Driver{tb: tb, library: filepath.Join(dir, LibraryName), script: filepath.Join(dir, "nvmlstub.script")}
	built, err := os.ReadFile(Library(tb))
	require.NoError(tb, err)
	require.NoError(tb, os.WriteFile(d.library, built, 0o700)) //nolint:gosec // a library
	require.NoError(tb, os.WriteFile(d.script, []byte(script), 0o600))
	d.control, err = os.OpenFile(d.script+".control", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	require.NoError(tb, err)
	tb.Cleanup(func() { d.control.Close() })
	require.NoError(tb, d.control.Truncate(8*controlWords))
	return d
}

// Library is the path to load.
func (d *Driver) Library() string { return d.library }

// Script is the path of the script.
func (d *Driver) Script() string { return d.script }

// Set sets the clock to that time of the script.
func (d *Driver) Set(at time.Duration) {
	d.tb.Helper()
	d.write(wordEpoch, epoch)
	d.write(wordNow, epoch+at.Microseconds())
}

// Advance moves the clock, which must have been set.
func (d *Driver) Advance(by time.Duration) {
	d.tb.Helper()
	d.write(wordNow, d.read(wordNow)+by.Microseconds())
}

// Now is what the clock shows: the wall clock of the samples' timestamps.
func (d *Driver) Now() time.Time {
	d.tb.Helper()
	if now := d.read(wordNow); now != 0 {
		return time.UnixMicro(now)
	}
	return time.Now()
}

// Calls is how many calls were made so far.
func (d *Driver) Calls() int64 { return d.read(wordCalls) }

// Hanging is how many calls hang now.
func (d *Driver) Hanging() int64 { return d.read(wordHanging) }

// Slow lets every call take that long, in real time, from now on.
func (d *Driver) Slow(by time.Duration) {
	d.tb.Helper()
	d.write(wordSlow, by.Microseconds())
}

// Words are aligned, so that the stub never sees half of one: it maps the very
// page that is written here.
func (d *Driver) write(word int, v int64) {
	d.tb.Helper()
	_, err := d.control.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(v)), int64(8*word)) //nolint:gosec // two's complement
	require.NoError(d.tb, err)
}

func (d *Driver) read(word int) int64 {
	d.tb.Helper()
	var b [8]byte
	_, err := d.control.ReadAt(b[:], int64(8*word))
	require.NoError(d.tb, err)
	return int64(binary.NativeEndian.Uint64(b[:])) //nolint:gosec // two's complement
}
