package render

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/verify"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

func sampleReport() *verify.Report {
	amounts := func(gpu bool) verify.Amounts {
		a := verify.Amounts{Of: usage.Amounts{
			usage.CPUTime: 3_600_000_001, usage.Memory: 8 << 10 * 3600, usage.Storage: 1,
			usage.DiskReadBytes: 1, usage.DiskWriteBytes: 22, usage.NetworkTransmitBytes: 333, usage.NetworkReceiveBytes: 9223372036854775807,
			usage.GPUActive: 5,
		}}
		a.Metered.Add(usage.CPUTime)
		a.Metered.Add(usage.Memory)
		a.Metered.AddClass(usage.Interface)
		if gpu {
			a.Metered.AddClass(usage.GPU)
		}
		return a
	}
	const at = 1626350400_000_000_000
	return &verify.Report{
		Proven: true,
		Counts: verify.Counts{Events: 130, Repeats: 3, Gaps: 1, Recovered: 2},
		Usage:  amounts(true),
		Instances: []verify.Instance{
			{
				ID: "6f8f57d1-4d1c-4d2b-a9d6-5a1b1a3c5e77", Counts: verify.Counts{Events: 120, Repeats: 3, Gaps: 1, Recovered: 2},
				First: at, Last: at + 3600e9, Usage: amounts(false),
				Streams: []verify.Stream{
					{ID: "a3c6c1a0-52c5-4d8f-8a35-2b7f6a1d9e04", Source: "host", Host: "rack4", First: 1, Last: 90, Start: at, End: at + 2700e9, Events: 90},
					{ID: "0c52f4b8-d3a1-4b0e-9b2f-6f7a1c9d8e70", Source: "host", Host: "rack5", First: 1, Last: 30, Start: at + 2700e9, End: at + 3600e9, Events: 30},
				},
			},
			{ID: "vm\x1b[2J", Counts: verify.Counts{Events: 10}, First: at - 1e9, Last: at + 300e9, Usage: amounts(true), Streams: make([]verify.Stream, 1)},
		},
		Notes: []string{"something to know"},
	}
}

func TestReport(t *testing.T) {
	good := sampleReport()
	bad := sampleReport()
	bad.Proven, bad.ViolationCount = false, 3
	bad.Violations = []verify.Violation{
		{Kind: verify.Undecodable, Where: "usage_events, partition 0, offset 7", Detail: "malformed event: \x07"},
		{Kind: verify.Missing, Instance: "vm", Stream: "a3c6c1a0-52c5-4d8f-8a35-2b7f6a1d9e04", Sequence: 9, Where: "stdin, line 3", Detail: "sequence 8 is missing"},
	}
	got := "# proven\n" + Report(good) + "# not proven\n" + Report(bad) + "# nothing\n" + Report(verify.New().Report())
	golden := filepath.Join("testdata", "report.golden")
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}
