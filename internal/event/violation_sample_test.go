package event

import (
	"math"

	"github.com/google/uuid"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// violationSamples are the violations of the golden files.
func violationSamples() map[string]*usage.Violation {
	return map[string]*usage.Violation{
		"violation":          cpuViolation(),
		"violation-resolved": resolvedViolation(),
		"violation-bare":     bareViolation(),
		"quota":              quotaViolation(),
	}
}

// cpuViolation is the typical one: an instance above a level.
func cpuViolation() *usage.Violation {
	return &usage.Violation{
		Instance: hostPeriod().Instance,
		Rule: usage.ViolationRule{
			ID: "cpu-high", Description: "CPU is above what the plan is good for", Resource: "cpu",
			Type: usage.PercentageRule, Unit: "%", Direction: usage.DirectionAbove,
			Warning: 80, Critical: 95, Clear: 70, HasWarning: true, HasCritical: true, HasClear: true,
			Per: usage.PerInstance, Action: "notify",
			Channels: []string{"mail", "on-call"}, Labels: []usage.Label{{Key: "severity", Value: "page"}, {Key: "team", Value: "web"}},
		},
		ID:      uuid.MustParse("0c9a7d6e-52b1-5c84-9f3e-6a1b2c3d4e5f"),
		Episode: uuid.MustParse("7b1e4c2a-93d0-5f67-8a4b-1c2d3e4f5a6b"),
		State:   usage.Firing, Level: usage.LevelWarning,
		Value: 87.25, Threshold: 80, Ratio: 1.090625, Limit: 8,
		At: 1626350430001234567, Since: 1626350370000123456,
	}
}

// quotaViolation is by an organization, over a month, and not the first that is said.
func quotaViolation() *usage.Violation {
	v := cpuViolation()
	v.Instance = usage.Instance{OrgID: v.Instance.OrgID}
	v.Rule = usage.ViolationRule{
		ID: "egress-month", Description: "", Resource: "network_egress", Type: usage.AbsoluteRule, Unit: "GB", Direction: usage.DirectionAbove,
		Warning: 400, Critical: 500, HasWarning: true, HasCritical: true,
		Window: "month", Timezone: "Europe/Berlin", Per: usage.PerOrg, Action: "throttle",
	}
	v.ID[0], v.Episode[0] = 0x1c, 0x8b
	v.Level, v.Limit = usage.LevelCritical, 0
	v.Value, v.Threshold, v.Ratio = 512.3333333333334, 500, 1.0246666666666668
	v.WindowStart, v.WindowEnd = 1625090400000000000, 1627768800000000000
	v.Since, v.Count, v.Suppressed = 1626340000000000000, 2, 312
	return v
}

// resolvedViolation is over, of one device of a metric.
func resolvedViolation() *usage.Violation {
	v := cpuViolation()
	v.Rule.Resource, v.Rule.Metric = "", "hw.temperature"
	v.Rule.Type, v.Rule.Unit, v.Rule.Direction = usage.AbsoluteRule, "Cel", usage.DirectionBelow
	v.Rule.Warning, v.Rule.Critical, v.Rule.HasCritical, v.Rule.HasClear = 5, 0, false, false
	v.Rule.Clear = 0
	v.Series, v.State, v.Reason = "GPU-5a1c0a5e-1c9f-6d3e-8b7a-0e1f2d3c4b5a", usage.Resolved, "rule_changed"
	v.Value, v.Threshold, v.Ratio, v.Limit = -2.5, 5, -0.5, 0
	return v
}

// bareViolation has nothing that can be left out, numbers at their ends, and
// strings that need escaping.
func bareViolation() *usage.Violation {
	return &usage.Violation{
		Instance: usage.Instance{ID: "vm \"1\"\n<&>\u2028\x7f\xff", Labels: []usage.Label{{Key: "ключ\\", Value: "\x00"}}},
		Rule: usage.ViolationRule{
			ID: "<r>", Metric: "m\t", Type: usage.AbsoluteRule, Direction: usage.DirectionAbove, Per: usage.PerInstance, Critical: 0, HasCritical: true,
		},
		State: usage.NoData, Level: usage.LevelCritical,
		Value: math.MaxFloat64, Threshold: 0, Ratio: 0, Limit: math.SmallestNonzeroFloat64,
		Count: math.MaxUint32, Suppressed: math.MaxUint32, At: math.MaxInt64,
	}
}
