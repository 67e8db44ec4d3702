// Package outbox keeps closed periods until the pipeline has confirmed them, and
// with them the checkpoint of the ledger that closed them.
//
// Periods are kept in chunks of whole instances of at most [MaxChunk]. Chunks
// are offered oldest first, each is confirmed on its own, and one that is
// refused waits while the others go on.
//
//	Put --> dirty --Flush--> durable --Next--> offered --Confirm--> gone (deleted by the next Flush)
//	           \                        \--Refuse--> waits --Next--> ...
//	            parked (while the pipeline refuses everything): may be joined, is not offered
//
// With a storage, one batch of Flush writes the chunks that are new, forgets
// those that are confirmed, and replaces checkpoint and index: after a crash at
// any instant the storage holds what one Flush left, and what was offered since
// is offered again, the very same. A chunk is offered only once it is durable.
// While nothing can be written, chunks collect in memory and wait: were they
// handed on, a crash would make the ledger close the same time again, under
// another id.
//
// Only when the outbox is full are periods joined into longer ones, and only
// those that were never offered, since one that was may be in Kafka by now:
// within a UTC hour first, then across hours. What then still does not fit is
// given up, oldest first, and counted.
package outbox
