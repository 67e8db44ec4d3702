// Package host is the source host: it samples the machine that it runs on, or
// the one whose root is mounted at root_path.
//
// What is read at every sample is kept open and read from its beginning into a
// buffer that is used again. Which devices count, and which very device stands
// behind a name, comes from sysfs; it is looked up again when the kernel's
// counter of device events, or the names in a file, say that something changed.
// Mounts are read again when poll(2) says so. In the steady state a sample
// allocates nothing.
//
// A device can go and another come under its name while a sample is under way.
// Counters are therefore taken only between two looks at the devices that agree.
package host
