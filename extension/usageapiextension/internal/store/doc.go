// Package store keeps what is known of each instance: its latest levels, the last
// closed period, the running totals, and where it stands with threshold rules.
//
// It is fed from a pipeline that offers usage again until somebody else took it, so
// a period that is not newer than the last changes nothing. It is bounded in
// instances and bytes: what finds no room is left out and counted.
//
// Nothing of it is persisted. Levels are there again one collection interval after
// a restart, the last closed period one period after it; until then there is none.
//
// Locks: Store.mu guards which instances there are, Entry.mu what is known of one.
// Store.mu is never asked for while an Entry.mu is held.
package store
