// Package threshold decides whether what an instance uses is more (or less)
// than somebody wanted to know about, and what there is to say about it.
//
// It has two halves. A [Set] is what operators wrote: documents are parsed into
// rules, validated, merged by id and compiled, so that the rules of an instance
// are found in a time that does not grow with the number of rules. An [Engine] is
// what is remembered: episodes (since when a rule is violated, at what level,
// when that was last said) and the amounts of quotas.
//
// A check itself is stateless. The engine changes only in a transaction, which is
// committed when what it announced is on its way, and otherwise rolled back: the
// same metrics offered again give the same announcements.
//
// The package imports nothing of the collector. Times are unix ns, and it has no
// clock: what passes is what the metrics say.
package threshold
