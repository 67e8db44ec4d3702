package verify

import (
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// A Kind is a way in which events can fail to prove what they bill. The set is
// closed.
type Kind string

// The kinds.
const (
	Undecodable    Kind = "undecodable"     // it is no event, or of a version that is not known
	EventID        Kind = "event_id"        // the id is not that of the stream, sequence and bounds
	Content        Kind = "content"         // the same event came with other content
	Duplicate      Kind = "duplicate"       // two events have the same sequence of a stream, or share one that was joined
	Missing        Kind = "missing"         // sequences between the first and the last seen of a stream
	Start          Kind = "start"           // it does not start where the one before ended
	Totals         Kind = "totals"          // the totals are not those before plus the usage
	Devices        Kind = "devices"         // the usage of a class is not that of its devices
	AfterFinal     Kind = "after_final"     // a period after the one that ended the stream
	StreamInstance Kind = "stream_instance" // one stream of two instances
	Overlap        Kind = "overlap"         // two streams bill the same time of an instance
	Sum            Kind = "sum"             // amounts that cannot be added up
)

// A Violation is something that the events do not prove, and where.
type Violation struct {
	Kind     Kind   `json:"kind"`
	Instance string `json:"instance_id,omitempty"`
	Stream   string `json:"stream,omitempty"`
	Sequence uint64 `json:"sequence,omitempty"`
	Where    string `json:"where,omitempty"`
	Detail   string `json:"detail"`
}

// MaxViolations is how many violations are kept; all are counted.
const MaxViolations = 1000

type violations struct {
	count int
	kept  []Violation
}

func (f *violations) add(v Violation) {
	f.count++
	if len(f.kept) < MaxViolations {
		f.kept = append(f.kept, v)
	}
}

// clone returns violations that can be added to without changing f.
func (f *violations) clone() violations {
	return violations{f.count, slices.Clone(f.kept)}
}

// A finder adds violations of one event. Only what is found costs anything.
type finder struct {
	into     *violations
	instance string
	stream   uuid.UUID
	sequence uint64
	where    string
}

func (f *violations) at(p *usage.Period, where string) finder {
	return finder{f, p.Instance.ID, p.Stream.ID, p.Sequence, where}
}

// perMeter makes one violation of what is wrong with several meters of an event:
// where one total is wrong most are.
type perMeter struct {
	text  []byte
	count int
}

func (p *perMeter) addf(m usage.Meter, format string, args ...any) {
	const most = 3 // that are named
	p.count++
	if p.count > most {
		return
	}
	if p.count > 1 {
		p.text = append(p.text, "; "...)
	}
	p.text = fmt.Appendf(fmt.Appendf(p.text, "%s: ", m.Info().Field), format, args...)
}

// end adds the violation, if there is one.
func (p *perMeter) end(kind Kind, found finder) {
	switch {
	case p.count > 1:
		found.addf(kind, "%d meters: %s", p.count, p.text)
	case p.count == 1:
		found.addf(kind, "%s", p.text)
	}
}

func (f finder) addf(kind Kind, format string, args ...any) {
	f.into.add(Violation{kind, f.instance, f.stream.String(), f.sequence, f.where, fmt.Sprintf(format, args...)})
}
