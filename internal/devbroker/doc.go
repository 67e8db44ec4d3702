// Package devbroker runs a Kafka broker inside the process, for development and
// for tests. It is one broker without authentication, on
// github.com/twmb/franz-go/pkg/kfake: any Kafka client can produce to it and
// consume from it, with idempotence, transactions and groups.
//
// # Durability
//
// With a data directory, a batch is written to its segment file before it is
// acknowledged, and topics are written when they are created. So whatever was
// acknowledged is there again after a clean stop and after the process was
// killed at any instant: the kernel holds it. A power cut or a kernel crash can
// take the last seconds, as with Kafka's own default, unless [Options.Fsync] is
// set. Without a data directory everything is in memory and ends with [Broker.Close].
//
// Nothing is ever deleted: there is no retention. To start afresh, stop the
// broker and remove its directory.
package devbroker
