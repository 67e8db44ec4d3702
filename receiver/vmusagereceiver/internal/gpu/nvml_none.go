//go:build !cgo || !linux

package gpu

// Built reports whether this binary can load NVML.
const Built = false

// newDriver is never reached: [Config.Validate] refuses the section.
func newDriver(string) driver { return noDriverHere{} }

type noDriverHere struct{}

var errNotBuilt = &CallError{Func: "Init", Code: LibraryNotFound}

func (noDriverHere) Open() error                { return errNotBuilt }
func (noDriverHere) Close() error               { return nil }
func (noDriverHere) Load() uint64               { return 0 }
func (noDriverHere) Count() (int, error)        { return 0, errNotBuilt }
func (noDriverHere) Device(int) (device, error) { return nil, errNotBuilt }
