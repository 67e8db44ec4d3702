package usageeventexporter

import (
	"fmt"

	"go.uber.org/zap"
)

// A cost is what a valid choice of the operator gives up.
type cost struct {
	key         string
	value       any
	consequence string
	remedy      string
}

// costs returns what the configuration gives up of what the exporter otherwise
// promises, for the log at start.
func (c *Config) costs() []cost {
	var all []cost
	add := func(key string, value any, consequence, remedy string) {
		all = append(all, cost{key, value, consequence, remedy})
	}
	q, retry := c.SendingQueue.Get(), c.RetryOnFailure
	confirmsEarly := q != nil && !q.WaitForResult
	if confirmsEarly {
		add("sending_queue::wait_for_result", false,
			"a batch is confirmed before Kafka has it: what is queued is lost with the process, and dropped when an attempt fails for good",
			"set it to true, so that the receiver keeps usage until Kafka has it")
	}
	if q != nil && q.StorageID != nil {
		add("sending_queue::storage", q.StorageID.String(),
			"a persistent queue can lose accepted usage when the process is killed while it restarts, or when the disk is full, and sends out of order after a restart",
			"remove it and set sending_queue::wait_for_result to true: the receiver's own outbox is on disk")
	}
	if q != nil {
		if b := q.Batch.Get(); b != nil && b.MaxSize > 0 {
			add("sending_queue::batch::max_size", b.MaxSize,
				"what is offered at once goes in several requests, cut between events; when one of them fails all is offered again, and what the others sent is in the topic twice, under the same ids",
				"set it to 0; producer::flush_max_messages bounds a request to Kafka without that")
		}
	}
	switch {
	case !retry.Enabled && confirmsEarly:
		add("retry_on_failure::enabled", false,
			"a batch that is confirmed already is dropped at the first attempt that fails",
			"set it to true, and retry_on_failure::max_elapsed_time to 0")
	case !retry.Enabled:
		add("retry_on_failure::enabled", false,
			"every failure goes to who offered the batch, who offers all of it again: what was sent of it is in the topic twice, under the same ids, and a sender that does not offer again loses the rest",
			"set it to true: it sends only what failed")
	case confirmsEarly && retry.MaxElapsedTime > 0:
		add("retry_on_failure::max_elapsed_time", retry.MaxElapsedTime.String(),
			"a batch that is confirmed already is dropped when it fails for so long",
			"set it to 0, for ever")
	}
	if c.Partitioner == partitionerRoundRobin {
		add("partitioner", c.Partitioner,
			"the events of an instance are in all partitions: a reader has them in no order, and one reader of a group sees a part of them only",
			fmt.Sprintf("set it to %s, or order by stream and sequence after reading all partitions", partitionerMurmur2))
	}
	if c.DeadLetter.Topic == "" {
		add("dead_letter::topic", "",
			"usage that cannot become an event is dropped, and an event that Kafka refuses is tried for ever, its batch with it",
			"name a topic, such as usage_events_dlq")
	}
	return all
}

// sayCosts logs them, one line each.
func (c *Config) sayCosts(logger *zap.Logger) {
	for _, w := range c.costs() {
		logger.Warn("this setting has a cost: "+w.consequence, zap.String("key", w.key), zap.Any("value", w.value), zap.String("remedy", w.remedy))
	}
}
