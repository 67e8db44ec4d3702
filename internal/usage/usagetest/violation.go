package usagetest

import (
	"github.com/google/uuid"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// Violation returns a typical violation: the CPU of the instance of [Host] is
// above 80 %. Violations of different seeds differ in id and episode.
func Violation(seed uint64) *usage.Violation {
	const at = 1_626_350_430_001_234_567
	return &usage.Violation{
		Instance: Host(seed).Instance,
		Rule: usage.ViolationRule{
			ID: "cpu-high", Description: "the CPU is busy", Resource: "cpu",
			Type: usage.PercentageRule, Unit: "%", Direction: usage.DirectionAbove,
			Warning: 80, Critical: 95, Clear: 70, HasWarning: true, HasCritical: true, HasClear: true,
			Per: usage.PerInstance, Action: "notify",
			Channels: []string{"mail", "chat"}, Labels: []usage.Label{{Key: "team", Value: "web"}},
		},
		ID:      uuid.UUID{0: byte(seed >> 8), 15: byte(seed), 6: 0x50, 8: 0x80},
		Episode: uuid.UUID{0: byte(seed >> 8), 14: 1, 15: byte(seed), 6: 0x50, 8: 0x80},
		State:   usage.Firing, Level: usage.LevelWarning,
		Value: 87.5, Threshold: 80, Ratio: 1.09375, Limit: 1,
		At: at, Since: at - 60_000_000_000,
	}
}

// Quota returns a violation by an owner: an organization has sent more in a
// month than it was to. Violations of different seeds differ in id and episode.
func Quota(seed uint64) *usage.Violation {
	v := Violation(seed)
	i := v.Instance
	v.Instance = usage.Instance{HostID: i.HostID, HostName: i.HostName, OrgID: i.OrgID, Labels: i.Labels}
	v.Rule = usage.ViolationRule{
		ID: "egress-month", Resource: "network_egress",
		Type: usage.AbsoluteRule, Unit: "GB", Direction: usage.DirectionAbove, Critical: 500, HasCritical: true,
		Window: "month", Timezone: "Europe/Berlin", Per: usage.PerOrg, Action: "throttle",
	}
	v.ID[1], v.Episode[1] = 1, 1
	v.Level, v.Limit = usage.LevelCritical, 0
	v.Value, v.Threshold, v.Ratio = 500.25, 500, 1.0005
	v.WindowStart, v.WindowEnd = 1_625_090_400_000_000_000, 1_627_768_800_000_000_000
	v.Count, v.Suppressed = 2, 312
	return v
}
