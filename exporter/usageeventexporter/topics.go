package usageeventexporter

import (
	"slices"
	"sync"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// topicLimit is how many topics attributes can name in the life of an exporter:
// sarama keeps goroutines and buffers for each, for as long as it lives.
const topicLimit = 100

// misdirected is what the log says of events that the attribute did not send
// to where it named.
const misdirected = "topic_from_attribute: the events go to the default topic"

// Why they do, for the log.
const (
	reasonNoTopic       = "invalid_topic"
	reasonTooManyTopics = "too_many_topics"
)

// topics says which topic the usage of a resource goes to. It is safe for
// concurrent use.
type topics struct {
	standard  string
	reserved  []string // for what is no usage
	attribute string   // empty: all go to standard
	say       func(what, reason, detail string, n int)

	mu    sync.RWMutex
	known map[string]string // named by attributes, at most topicLimit; to themselves, so that a name is kept once
}

func newTopics(c *Config, say func(what, reason, detail string, n int)) *topics {
	return &topics{standard: c.Topic, reserved: []string{c.DeadLetter.Topic, c.ThresholdTopic}, attribute: c.TopicFromAttribute, say: say, known: map[string]string{}}
}

// of returns the topic of a resource. What names none that can be used goes to
// the standard one: it is billed nevertheless.
func (t *topics) of(rm pmetric.ResourceMetrics) string {
	if t.attribute == "" {
		return t.standard
	}
	v, ok := rm.Resource().Attributes().Get(t.attribute)
	if !ok {
		return t.standard
	}
	name := v.AsString()
	t.mu.RLock()
	topic, known := t.known[name]
	t.mu.RUnlock()
	if known {
		return topic
	}
	return t.learn(name)
}

func (t *topics) learn(name string) string {
	switch {
	case !isTopic(name):
		t.say(misdirected, reasonNoTopic, t.attribute+" is "+shorten(name)+": it must have 1 to 249 of the characters a-z A-Z 0-9 . _ -", 1)
		return t.standard
	case slices.Contains(t.reserved, name):
		t.say(misdirected, reasonNoTopic, t.attribute+" is "+name+": that is dead_letter::topic or threshold_topic", 1)
		return t.standard
	}
	t.mu.Lock()
	topic, known := t.known[name]
	full := !known && len(t.known) == topicLimit
	if !known && !full {
		t.known[name], topic = name, name
	}
	t.mu.Unlock()
	if full {
		t.say(misdirected, reasonTooManyTopics, t.attribute+" named more than 100 topics, the last is "+name, 1)
		return t.standard
	}
	return topic
}
