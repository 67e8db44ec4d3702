package threshold

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUnits(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		factor   float64
	}{
		{"By", "By", 1},
		{"GiBy", "By", 1 << 30},
		{"GBy", "By", 1e9},
		{"kBy", "By", 1000},
		{"KiBy", "By", 1024},
		{"TiBy", "GiBy", 1024},
		{"GB", "By", 1 << 30},
		{"MB", "By", 1 << 20},
		{"MB/s", "By/s", 1 << 20},
		{"bit", "By", 0.125},
		{"Gbit/s", "By/s", 125e6},
		{"s", "us", 1e6},
		{"h", "us", 3600e6},
		{"us", "s", 1e-6},
		{"min", "s", 60},
		{"d", "h", 24},
		{"GiBy.h", "MiBy.s", 1024 * 3600},
		{"GiBy", "MiBy.s/s", 1024},
		{"{cpu}", "us/us", 1},
		{"%", "1", 0.01},
		{"1", "%", 100},
		{"{packet}/s", "1/s", 1},
		{"By{transmitted}", "By", 1},
		{"kHz", "1/s", 1000},
		{"kW.h", "mJ", 3600e6},
		{"J/s", "W", 1},
		{"{a.b/c}", "1", 1},
		{"Cel", "Cel", 1},
		{"mV", "V", 1e-3},
	} {
		from, ok := parseUnit(tt.from)
		require.True(t, ok, tt.from)
		to, ok := parseUnit(tt.to)
		require.True(t, ok, tt.to)
		factor, ok := from.in(to)
		assert.True(t, ok, "%s in %s", tt.from, tt.to)
		assert.Equal(t, tt.factor, factor, "%s in %s", tt.from, tt.to)
	}
}

func TestUnitsOfOtherThings(t *testing.T) {
	for _, pair := range [][2]string{{"By", "s"}, {"By", "By/s"}, {"By.s", "By"}, {"1", "By"}, {"W", "J"}, {"Cel", "1"}} {
		from, _ := parseUnit(pair[0])
		to, _ := parseUnit(pair[1])
		_, ok := from.in(to)
		assert.False(t, ok, pair)
	}
}

func TestNoUnits(t *testing.T) {
	for _, s := range []string{
		"", "B", "GiB", "kb", "KB", "TB", "kGB", "By/", "/s", "By//s", ".", "{}", "{a", "a}", "{a}{b}", "GBy s", "km%", "k1", "kmin",
		"Kis5", "by", "GIBY", string(make([]byte, 64)),
	} {
		_, ok := parseUnit(s)
		assert.False(t, ok, s)
	}
}

func TestUnitsDoNotAllocate(t *testing.T) {
	m := &Measure{Unit: "GiBy.h"}
	assert.Zero(t, testing.AllocsPerRun(100, func() { m.Convert("MiBy.s{used}") }))
}

func FuzzUnit(f *testing.F) {
	for _, s := range []string{"GiBy.h", "{cpu}", "kW.h/d", "%", "{"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, ok := parseUnit(s)
		if !ok {
			return
		}
		factor, same := u.in(u)
		assert.True(t, same)
		assert.Equal(t, 1.0, factor)
	})
}
