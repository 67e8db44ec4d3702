// Package webhook keeps who wants to hear of what, and delivers it: durably, signed,
// and to each endpoint at its own pace.
//
//	Accept ── matched, written once with the hooks it is for ──> one queue per hook
//	                                                               │ due, allowed by rate, breaker and concurrency
//	                                        attempt log <── worker ┴──> Sender ──> endpoint
//
// What is accepted is delivered at least once, over restarts and crashes, under the same
// id each time. What is about levels alone ([Event.Volatile]) is not: only the newest of
// an instance waits, in memory.
package webhook
