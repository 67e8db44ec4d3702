// Package bench measures the hot paths beside their peers. It is a module of
// its own, so that the peers stay out of what is shipped.
package bench
