package devbroker

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// MaxPartitions is the largest number of partitions of a [Topic]: each one has
// its own directory and open files.
const MaxPartitions = 1000

// A Topic is a topic that the broker creates at start where it is missing.
type Topic struct {
	Name       string
	Partitions int // 1 to MaxPartitions
}

// DefaultTopics returns the topics of the project: usage events, thresholds and
// dead letters.
func DefaultTopics() []Topic {
	return []Topic{
		{Name: "usage_events", Partitions: 3},
		{Name: "usage_thresholds", Partitions: 3},
		{Name: "usage_events_dlq", Partitions: 1},
	}
}

// String returns the form that [ParseTopic] reads: "usage_events:3".
func (t Topic) String() string { return t.Name + ":" + strconv.Itoa(t.Partitions) }

// ParseTopic reads "name" or "name:partitions"; without a number there is one
// partition. Names are those that Kafka takes: 1 to 249 of a-z, A-Z, 0-9, ".",
// "_" and "-", but neither "." nor "..".
func ParseTopic(s string) (Topic, error) {
	name, count, counted := strings.Cut(s, ":")
	if !isTopicName(name) {
		return Topic{}, fmt.Errorf("topic %q: the name must be 1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-', and neither %q nor %q", s, ".", "..")
	}
	t := Topic{Name: name, Partitions: 1}
	if !counted {
		return t, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 || n > MaxPartitions {
		return Topic{}, fmt.Errorf("topic %q: the number of partitions must be from 1 to %d", s, MaxPartitions)
	}
	t.Partitions = n
	return t, nil
}

func isTopicName(s string) bool {
	const pattern = `^[a-zA-Z0-9._-]{1,249}$` // what org.apache.kafka.common.internals.Topic.validate takes
	ok, _ := regexp.MatchString(pattern, s)
	return ok && s != "." && s != ".."
}
