package threshold

// A Measure says which metrics a rule looks at, and how their points become one
// value. Rules that look at the same may share one; it is never changed.
type Measure struct {
	Metric string    // whose points are the amount
	Filter []Matcher // what the attributes of these points must be
	// Unit is what the amount and [Rule.Limit] are in: UCUM, or "" where the points
	// are taken as they are. A metric in another unit of the same dimension is
	// converted by [Measure.Convert].
	Unit string

	// Other is a second metric of the same resource, in the same unit, and
	// Combine what to do with it. Its points are not filtered.
	Other   string
	Combine Combine

	// Sum adds up all points of a resource. Without it, every point is a value of
	// its own, a series.
	Sum bool
	// Series is the attribute that tells the series apart; "" where all attributes do.
	Series string
	// PerSecond divides the sum by the length of the period in seconds; [Rule.Limit]
	// is then in Unit per second.
	PerSecond bool
}

// Combine says how a second metric takes part in a value.
type Combine uint8

// The ways.
const (
	Alone Combine = iota // there is none
	Over                 // it is the 100 %
	Times                // it multiplies
)

// Convert returns what a point of a metric in the given unit is multiplied by to
// be in m's; ok is false where the two measure different things, so that the
// rule has no value. It does not allocate.
func (m *Measure) Convert(from string) (factor float64, ok bool) {
	if from == m.Unit || from == "" || m.Unit == "" {
		return 1, true
	}
	f, ok := parseUnit(from)
	if !ok {
		return 0, false
	}
	to, ok := parseUnit(m.Unit)
	if !ok {
		return 0, false
	}
	return f.in(to)
}
