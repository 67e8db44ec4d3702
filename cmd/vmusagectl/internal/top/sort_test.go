package top

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func order(rows []Row) string {
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = strings.TrimPrefix(rows[i].ID, "vm-")
	}
	return strings.Join(ids, "")
}

func TestSort(t *testing.T) {
	var tracker Tracker
	tracker.Next(fleet(t, 10).Readings)
	s := fleet(t, 20)
	rows := Rows(s, tracker.Next(s.Readings))
	for _, test := range []struct {
		key             Key
		order, reversed string
	}{
		{ByCPU, "2356147", "4165327"}, // what is not known is last in both
		{ByMemory, "2653147", "4316527"},
		{ByDisk, "2516437", "3461527"},
		{ByNetwork, "2516437", "3461527"},
		{ByGPU, "4326715", "4326715"},
		{ByName, "3267415", "5147623"},
		{ByState, "2374156", "7415326"},
	} {
		Sort(rows, test.key, false)
		assert.Equal(t, test.order, order(rows), "%s", test.key)
		Sort(rows, test.key, true)
		assert.Equal(t, test.reversed, order(rows), "%s in reverse", test.key)
	}
}

func TestParseKey(t *testing.T) {
	for i, name := range []string{"cpu", "mem", "disk", "net", "gpu", "name", "state"} {
		k, err := ParseKey(name)
		require.NoError(t, err)
		assert.Equal(t, Key(i), k)
		assert.Equal(t, name, k.String())
	}
	_, err := ParseKey("ram")
	assert.EqualError(t, err, `is "ram": use cpu, mem, disk, net, gpu, name, state`)
}

func TestKeys(t *testing.T) {
	for sent, want := range map[string][]Press{
		"cmdngas":                               {sortKeys, sortKeys + 1, sortKeys + 2, sortKeys + 3, sortKeys + 4, sortKeys + 5, sortKeys + 6},
		"r":                                     {Reverse},
		"q":                                     {Quit},
		"\x03\x04":                              {Quit, Quit},
		"\x1b[A\x1b[B\x1bOA\x1bOB":              {Up, Down, Up, Down},
		"\x1b[5~\x1b[6~":                        {PageUp, PageDown},
		"\x1b[H\x1b[F\x1b[1~\x1b[4~":            {Home, End, Home, End},
		"jk fb":                                 {Down, Up, PageDown, PageDown, PageUp},
		"\x1b[1;5C\x1b[200~\x1bxyz":             nil,
		"\x1bq":                                 {Quit}, // the escape key before it
		"é\x00":                                 nil,
		"\x1b[" + strings.Repeat("1", 50) + "q": {Quit},
		"\x1b[\x1b[A":                           {Up},
	} {
		var k Keyboard
		assert.Equal(t, want, k.Type([]byte(sent)), "%q", sent)
		var parts Keyboard
		var got []Press
		for i := range len(sent) {
			got = append(got, parts.Type([]byte(sent[i:i+1]))...)
		}
		assert.Equal(t, want, got, "%q in parts", sent)
	}
}

func TestPresses(t *testing.T) {
	s := screenOf(t, 80, 9, false) // three rows of seven
	shown := func() string {
		var names []string
		for _, line := range s.Frame(noon())[headLines:8] {
			names = append(names, strings.Fields(line)[0])
		}
		return strings.Join(names, " ")
	}
	press := func(presses ...Press) {
		for _, p := range presses {
			require.False(t, s.Press(p))
		}
	}
	press(sortKeys + Press(ByCPU))
	top := shown()
	assert.Equal(t, "db a 日本語の仮想…", top)
	press(Up, PageUp, Home)
	assert.Equal(t, top, shown(), "there is nothing above")
	press(Down, Up)
	assert.Equal(t, top, shown())
	press(PageDown, PageDown)
	last := shown()
	assert.True(t, strings.HasSuffix(last, " new"), last)
	press(Down, End)
	assert.Equal(t, last, shown(), "there is nothing below")
	assert.Contains(t, s.Frame(noon())[8], "5-7 of 7")
	s.Update(&Snapshot{Readings: fleet(t, 30).Readings[:2]}, noon())
	assert.Equal(t, 0, s.first, "fewer instances than were scrolled over")
	press(Reverse)
	assert.Equal(t, "vm-1", s.rows[0].ID)
	press(sortKeys+Press(ByName), Down)
	assert.Equal(t, "vm-2", s.rows[0].ID)
	assert.True(t, s.Press(Quit))
}

func TestText(t *testing.T) {
	for n, want := range map[float64]string{
		0: "0", 1: "1", 1023: "1023", 1023.6: "1.0Ki", 1024: "1.0Ki", 1536: "1.5Ki", 99.9 * 1024: "99.9Ki", 100 * 1024: "100Ki",
		1023 * 1024: "1023Ki", 1 << 20: "1.0Mi", 1 << 60: "1.0Ei", 1 << 63: "8.0Ei", 0.4: "0",
	} {
		assert.Equal(t, want, bytes(&n))
	}
	assert.Equal(t, "-", bytes(nil))
	for age, want := range map[time.Duration]string{0: "0s", 99 * time.Second: "99s", 100 * time.Second: "1m", 100 * time.Minute: "1h", 48 * time.Hour: "2d"} {
		assert.Equal(t, want, seconds(new(age.Seconds())))
	}
	assert.Equal(t, "日…", cut("日本語", 4))
	assert.Equal(t, "日本…", cut("日本語の", 5))
	assert.Equal(t, "日本語", cut("日本語", 6))
	assert.Equal(t, "e\u0301…", cut("e\u0301tude", 2))
	assert.Empty(t, cut("abc", 0))
	assert.Equal(t, " 日本", fit("日本", 5, true))
	assert.Equal(t, "1,234,567", grouped(1234567))
}
