package render

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

func decoded(t *testing.T, v event.Version, p *usage.Violation) *event.Violation {
	t.Helper()
	e, err := event.DecodeViolation(event.AppendViolation(nil, v, p))
	require.NoError(t, err)
	return e
}

func TestViolationsGolden(t *testing.T) {
	resolved, silent, device := usagetest.Violation(1), usagetest.Violation(1), usagetest.Violation(1)
	resolved.State, resolved.Reason, resolved.Level, resolved.Value = usage.Resolved, "window_ended", usage.LevelCritical, 12.3456
	silent.State, silent.Instance.Name = usage.NoData, ""
	device.Series, device.Rule.Resource, device.Rule.Metric = "GPU-0", "", "hw.temperature"
	device.Rule.Unit, device.Rule.Direction, device.Rule.Description = "Cel", usage.DirectionBelow, ""
	device.Value, device.Threshold = -0.0000123, 0
	user := usagetest.Quota(1)
	user.Rule.Per, user.Instance.UserID = usage.PerUser, "user-42"
	var got strings.Builder
	for _, p := range []*usage.Violation{usagetest.Violation(1), resolved, silent, device, usagetest.Quota(1), user} {
		for _, v := range []event.Version{event.V1_1, event.V1_0} {
			e := decoded(t, v, p)
			got.WriteString("# " + v.String() + "\n" + Violation(e, false))
			assert.Equal(t, Violation(e, false), uncolored(Violation(e, true)))
		}
	}
	golden := filepath.Join("testdata", "violations.golden")
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(got.String()), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), got.String())
}

func TestNamesInViolationsCannotDriveTheTerminal(t *testing.T) {
	p := usagetest.Violation(1)
	evil := "x\x1b[2J\n\u009b"
	p.Instance.ID, p.Instance.Name, p.Instance.UserID, p.Instance.OrgID, p.Series = evil, evil, evil, evil, evil
	p.State, p.Reason = usage.Resolved, evil
	p.Rule.ID, p.Rule.Description, p.Rule.Resource, p.Rule.Unit, p.Rule.Window = evil, evil, evil, evil, evil
	for _, per := range []string{usage.PerInstance, usage.PerUser, usage.PerOrg} {
		p.Rule.Per = per
		s := Violation(decoded(t, event.V1_1, p), false)
		assert.NotContains(t, s, "\x1b")
		assert.NotContains(t, s, "\u009b")
		assert.Equal(t, 3, strings.Count(s, "\n"))
	}
}

func TestQuantity(t *testing.T) {
	for want, v := range map[string]float64{
		"0 %": 0, "87.5 %": 87.5, "33.333 %": 100.0 / 3, "0.012 %": 0.0123, "1.234e-05 %": 0.00001234, "1000000 %": 1e6, "1e+20 %": 1e20, "-2.5 %": -2.5,
	} {
		assert.Equal(t, want, quantity(v, "%"))
	}
	assert.Equal(t, "3", quantity(3, ""))
}
