package store

import (
	"slices"
	"strings"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// takeStates takes over the points of vm.threshold.state. It returns how many were
// too many.
func (d *Data) takeStates(rm pmetric.ResourceMetrics) (changed bool, over int) {
	for _, sm := range rm.ScopeMetrics().All() {
		for _, m := range sm.Metrics().All() {
			if m.Name() != usage.MetricThresholdState {
				continue
			}
			dps, n := numbers(m)
			for i := range n {
				dp := dps.At(i)
				level := dp.IntValue()
				rule := attr(dp.Attributes(), usage.AttrRuleID)
				if rule == "" || dp.ValueType() != pmetric.NumberDataPointValueTypeInt || level < 0 || level > int64(usage.LevelCritical) {
					continue
				}
				st, ok := d.state(rule, attr(dp.Attributes(), usage.AttrSeries))
				if !ok {
					over++
					continue
				}
				at := int64(dp.Timestamp()) //nolint:gosec // compared only
				if at < st.At {
					continue
				}
				st.At, st.Level = at, usage.ThresholdLevel(level) //nolint:gosec // 0 to 2
				if st.Level == usage.LevelOK {
					st.Announced = false
				}
				changed = true
			}
		}
	}
	return changed, over
}

// state returns the state of a rule, which is made where there is none and there is room.
func (d *Data) state(rule, series string) (*State, bool) {
	at, found := slices.BinarySearchFunc(d.States, State{Rule: rule, Series: series}, compareStates)
	if !found {
		if len(d.States) >= maxStates {
			return nil, false
		}
		d.States = slices.Insert(d.States, at, State{Rule: cloned(rule), Series: cloned(series)})
	}
	return &d.States[at], true
}

func compareStates(a, b State) int {
	if c := strings.Compare(a.Rule, b.Rule); c != 0 {
		return c
	}
	return strings.Compare(a.Series, b.Series)
}

// expireStates forgets the states that were not said for long.
func (d *Data) expireStates(now int64) {
	d.States = slices.DeleteFunc(d.States, func(s State) bool { return now-s.At > int64(stateRetain) })
}

// violationsOf takes over what is said of violations of an instance that is known.
// They have no say in who it is.
func (s *Store) violationsOf(r *reader, rm pmetric.ResourceMetrics, id string) (changed bool) {
	e := s.Get(id)
	if e == nil {
		return false
	}
	// What cannot be read is told by who delivers violations.
	_ = r.violations.Read(rm, func(v *usage.Violation) error {
		if v.Rule.Per != usage.PerInstance {
			return nil
		}
		did, _ := s.update(e, func(d *Data) bool {
			st, ok := d.state(v.Rule.ID, v.Series)
			if !ok || v.At < st.At {
				return false
			}
			st.At = v.At
			st.Announced = v.State != usage.Resolved
			st.Level = v.Level
			if !st.Announced {
				st.Level = usage.LevelOK
			}
			st.Since, st.Value, st.Threshold = v.Since, v.Value, v.Threshold
			return true
		})
		changed = changed || did
		return nil
	})
	return changed
}
