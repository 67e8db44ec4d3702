package host

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNumber(t *testing.T) {
	for _, c := range []struct {
		in string
		n  uint64
		ok bool
	}{
		{"0", 0, true},
		{"007", 7, true},
		{"9999999999999999999", 9999999999999999999, true},
		{"18446744073709551615", math.MaxUint64, true},
		{"18446744073709551616", 0, false},
		{"99999999999999999999", 0, false},
		{"000000000000000000001", 0, false},
		{"", 0, false},
		{"-1", 0, false},
		{"1x", 0, false},
		{"1.5", 0, false},
	} {
		n, ok := number([]byte(c.in))
		assert.Equal(t, c.ok, ok, c.in)
		if c.ok {
			assert.Equal(t, c.n, n, c.in)
		}
	}
}

func TestParseStat(t *testing.T) {
	const cpu = "cpu  1 2 3 4 5 6 7 8 9 10\n"
	for _, c := range []struct {
		name, in string
		want     Ticks
		online   int
		whole    bool
		ok       bool
	}{
		{"all", cpu + "cpu0 1\ncpu1 1\nintr 5 6\n", Ticks{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 2, true, true},
		{"seven columns", "cpu 1 2 3 4 5 6 7\ncpu0 1\nintr", Ticks{1, 2, 3, 4, 5, 6, 7, 0, 0, 0}, 1, true, true},
		{"columns of the future", "cpu 1 2 3 4 5 6 7 8 9 10 11 12\ncpu0 1\nintr", Ticks{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 1, true, true},
		{"cut among the CPUs", cpu + "cpu0 1\ncp", Ticks{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 1, false, true},
		{"cut before what follows them", cpu + "cpu0 1\n", Ticks{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 1, false, true},
		{"six columns", "cpu 1 2 3 4 5 6\n", Ticks{}, 0, false, false},
		{"empty", "", Ticks{}, 0, false, false},
		{"another line", "intr 1\n", Ticks{}, 0, false, false},
		{"no number", "cpu 1 2 x 4 5 6 7\n", Ticks{}, 0, false, false},
		{"negative", "cpu 1 2 -3 4 5 6 7\n", Ticks{}, 0, false, false},
		{"overflow", "cpu 18446744073709551616 2 3 4 5 6 7\n", Ticks{}, 0, false, false},
		{"too many ticks for microseconds", "cpu 18446744073709551615 2 3 4 5 6 7\n", Ticks{}, 0, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, online, whole, err := parseStat([]byte(c.in))
			assert.Equal(t, c.ok, err == nil, "%v", err)
			if err != nil {
				require.ErrorIs(t, err, errFormat)
			}
			assert.Equal(t, c.want, got)
			assert.Equal(t, c.online, online)
			assert.Equal(t, c.whole, whole)
		})
	}
}

func TestBusyHasNoGuestIdleOrSteal(t *testing.T) {
	ticks := Ticks{User: 1, Nice: 10, System: 100, IRQ: 1000, SoftIRQ: 10000, Idle: 1e6, IOWait: 1e7, Steal: 7, Guest: 1, GuestNice: 5}
	assert.Equal(t, uint64(11111*10_000), ticks.BusyMicros())
	assert.Equal(t, uint64(70_000), ticks.StealMicros())
}

func TestParseLoad(t *testing.T) {
	got, err := parseLoad([]byte("12.31 9.04 0.50 7/4321 998877\n"))
	require.NoError(t, err)
	assert.Equal(t, Load{[3]float64{12.31, 9.04, 0.5}, 7, 4321}, got)
	for _, bad := range []string{"", "\n", "1.00 2.00", "1.00 2.00 3.00", "1 2 3 1/2 3", "1.0 2.0 3.0 1/2 3", "1.00 -2.00 3.00 1/2 3", "1.00 2.00 3.00 12 3", "1.00 2.00 3.00 x/2 3", "nan nan nan 1/2 3"} {
		_, err := parseLoad([]byte(bad))
		require.ErrorIs(t, err, errFormat, bad)
	}
}

func TestParseMeminfo(t *testing.T) {
	for _, c := range []struct {
		name, in        string
		used, available uint64
	}{
		{"available", "MemTotal: 100 kB\nMemFree: 1 kB\nMemAvailable: 60 kB\n", 40 << 10, 60 << 10},
		{"more available than there is", "MemTotal: 100 kB\nMemAvailable: 160 kB\n", 0, 160 << 10},
		{"fallback", "MemTotal: 100 kB\nMemFree: 10 kB\nBuffers: 5 kB\nCached: 30 kB\nShmem: 8 kB\nSReclaimable: 3 kB\n", 60 << 10, 40 << 10},
		{"fallback with all memory shared", "MemTotal: 100 kB\nMemFree: 10 kB\nCached: 3 kB\nShmem: 8 kB\n", 90 << 10, 10 << 10},
		{"fallback above the total", "MemTotal: 100 kB\nMemFree: 90 kB\nCached: 80 kB\n", 0, 100 << 10},
		{"cut in a name", "MemTotal: 100 kB\nMemAvailable: 60 kB\nSwapTo", 40 << 10, 60 << 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := parseMeminfo([]byte(c.in))
			require.NoError(t, err)
			assert.Equal(t, c.used, m.Used())
			assert.Equal(t, c.available, m.Available)
		})
	}
	for _, bad := range []string{"", "MemFree: 1 kB\n", "MemTotal:\n", "MemTotal: x kB\n", "MemTotal: 18446744073709551615 kB\n", "MemTotal: 1 kB\nMemFree: -1 kB\n"} {
		m, err := parseMeminfo([]byte(bad))
		require.ErrorIs(t, err, errFormat, bad)
		assert.Zero(t, m)
	}
}

func TestParseDisk(t *testing.T) {
	name, values, err := splitDisk([]byte(" 254       0 vda 1 2 3 4 5 6 7 8 9 10 11 12"))
	require.NoError(t, err)
	assert.Equal(t, "vda", string(name))
	var got DiskStats
	require.NoError(t, parseDisk(values, &got))
	assert.Equal(t, DiskStats{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, got)
	assert.Equal(t, uint64(3*512), got.ReadBytes())
	assert.Equal(t, uint64(7*512), got.WriteBytes())
	for _, bad := range []string{"", "1 2 3", "1 2 3 4 5 6 7 8 9 10", "1 2 x 4 5 6 7 8 9 10 11", "1 2 18014398509481985 4 5 6 7 8 9 10 11"} {
		require.ErrorIs(t, parseDisk([]byte(bad), &got), errFormat, bad)
	}
	_, _, err = splitDisk([]byte(" 254 0 "))
	require.ErrorIs(t, err, errFormat)
}

func TestParseInterface(t *testing.T) {
	for _, l := range []string{"  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "eth0:1 2 3 4 5 6 7 8 9 10 11 12"} {
		name, values, err := splitInterface([]byte(l))
		require.NoError(t, err)
		assert.Equal(t, "eth0", string(name))
		var got InterfaceStats
		require.NoError(t, parseInterface(values, &got))
		assert.Equal(t, InterfaceStats{1, 2, 3, 4, 9, 10, 11, 12}, got)
	}
	name, _, err := splitInterface([]byte("eth0:1: 1 2"))
	require.NoError(t, err)
	assert.Equal(t, "eth0:1", string(name), "an alias")
	for _, bad := range []string{"", "eth0 1 2 3", " : 1 2 3"} {
		_, _, err := splitInterface([]byte(bad))
		require.ErrorIs(t, err, errFormat, bad)
	}
	var into InterfaceStats
	require.ErrorIs(t, parseInterface([]byte("1 2 3 4 5 6 7 8 9 10 11"), &into), errFormat)
}

func FuzzStat(f *testing.F) {
	f.Add([]byte("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2\nintr 1\n"))
	f.Add([]byte("cpu  1 2 3 4 5 6 7"))
	f.Fuzz(func(t *testing.T, b []byte) {
		ticks, online, whole, err := parseStat(b)
		if err != nil && (ticks != Ticks{} || online != 0 || whole) {
			t.Fatal("an error and values")
		}
		if ticks.BusyMicros() > math.MaxInt64 || ticks.StealMicros() > math.MaxInt64 {
			t.Fatal("does not fit into 63 bits")
		}
		// A prefix that is whole says the same as all of it.
		if half := b[:len(b)/2]; err == nil {
			t2, o2, w2, err2 := parseStat(half)
			if w2 && (err2 != nil || t2 != ticks || o2 != online) {
				t.Fatal("a whole prefix says something else")
			}
		}
	})
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte("0.00 0.01 0.05 1/77 1750\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := parseLoad(b)
		for _, a := range l.Average {
			if a < 0 || math.IsNaN(a) || math.IsInf(a, 0) || err != nil && a != 0 {
				t.Fatal(a)
			}
		}
	})
}

func FuzzMeminfo(f *testing.F) {
	f.Add([]byte("MemTotal:       24685132 kB\nMemFree:        23993012 kB\nMemAvailable:   24167456 kB\nSwapTotal: 1 kB\nSwapFree: 2 kB\nSReclaimable: 1 kB\n"))
	f.Add([]byte("MemTotal: 1 kB\nCached: 9007199254740991 kB\nShmem: 1 kB\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMeminfo(b)
		if m.Total > math.MaxInt64 || m.Used() > m.Total || m.SwapUsed() > m.SwapTotal || err != nil && m != (Memory{}) {
			t.Fatalf("%+v %v", m, err)
		}
	})
}

func fuzzClass[T any](t *testing.T, c *class[T], b []byte) {
	c.folder, c.lines = "/", b
	c.examine = func(name string) device { return device{name: name, counts: len(name)%2 == 1, birth: 1} }
	c.learn()
	if c.err != nil {
		return
	}
	rest, lines := b, 0
	for len(rest) > 0 {
		var l []byte
		if l, rest = line(rest); len(l) > 0 {
			lines++
		}
	}
	if len(c.known) > lines {
		t.Fatalf("%d devices in %d lines", len(c.known), lines)
	}
	for _, d := range c.known {
		if d.name == "" || strings.ContainsAny(d.name, "\n") {
			t.Fatalf("a device is called %q", d.name)
		}
	}
	if same := c.scan(b); same != (c.err == nil) {
		t.Fatal("what was learned is not what is there")
	}
	n := 0
	if c.err == nil {
		for range c.all() {
			n++
		}
		if n != len(c.took) {
			t.Fatal("taken and counting differ")
		}
	}
}

func FuzzDiskstats(f *testing.F) {
	f.Add([]byte(" 254       0 vda 4824 2830 454138 1588 357 3325 66016 275 0 756 2011 2999 40 37680 146 4 0\n 7 0 loop0 0\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzzClass(t, &class[DiskStats]{split: splitDisk, parse: parseDisk}, b)
		var d DiskStats
		if _, values, err := splitDisk(b); err == nil && parseDisk(values, &d) == nil && max(d.ReadBytes(), d.WriteBytes()) > math.MaxInt64 {
			t.Fatal("does not fit into 63 bits")
		}
	})
}

func FuzzNetdev(f *testing.F) {
	f.Add([]byte(netHeader + oldEth0 + "lo:1 2 3 4 5 6 7 8 9 10 11 12\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzzClass(t, &class[InterfaceStats]{header: netdevHeader, split: splitInterface, parse: parseInterface}, b)
	})
}

func FuzzUnescape(f *testing.F) {
	f.Add(`/mnt/with\040blank\134and\043more`)
	f.Add(`\04`)
	f.Add(`\777\999\`)
	f.Fuzz(func(t *testing.T, s string) {
		// The kernel escapes at least these, so that what it writes comes back.
		var b bytes.Buffer
		for _, c := range []byte(s) {
			if bytes.IndexByte([]byte(" \t\n\\#"), c) >= 0 {
				b.WriteString(`\` + string([]byte{'0' + c>>6, '0' + c>>3&7, '0' + c&7}))
				continue
			}
			b.WriteByte(c)
		}
		if got := unescape(b.String()); got != s {
			t.Fatalf("%q became %q", s, got)
		}
		unescape(s)
	})
}
