package rulestore

import "github.com/vmusage/otelcol-vmusage/internal/threshold"

// Values returns what a store that has these rules keeps.
func Values(rules []*threshold.Rule) map[string][]byte {
	entries := make([]Entry, len(rules))
	for i, r := range rules {
		entries[i] = Entry{Rule: r, Version: uint64(i + 1)}
	}
	values := map[string][]byte{}
	for shard, key := range Keys() {
		value, err := encode(entries, shard)
		if err != nil {
			panic(err)
		}
		values[key] = value
	}
	return values
}
