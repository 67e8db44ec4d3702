package letters

import (
	"encoding/json"

	"github.com/twmb/franz-go/pkg/kgo"
)

// EventID returns the id of the event that a record holds, of the dead-letter
// topic or of any other; empty where it has none. It is in a header, and where
// other software wrote the record without one, in the value: as event_id, or as
// the id of a CloudEvent in structured mode.
func EventID(r *kgo.Record) string {
	if id := headerID(r); id != "" {
		return id
	}
	var event struct {
		EventID     string `json:"event_id"`
		SpecVersion string `json:"specversion"`
		ID          string `json:"id"`
	}
	switch err := json.Unmarshal(r.Value, &event); {
	case err != nil:
		return ""
	case event.EventID != "":
		return event.EventID
	case event.SpecVersion != "":
		return event.ID
	default:
		return ""
	}
}

func headerID(r *kgo.Record) string {
	for _, key := range []string{"event-id", "ce_id"} {
		if id, _ := header(r, key); id != "" {
			return id
		}
	}
	return ""
}
