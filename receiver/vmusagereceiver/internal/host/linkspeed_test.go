package host

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/host/hosttest"
	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/reading"
)

// linkTest is a machine whose only interface that counts is eth0.
type linkTest struct {
	*testing.T
	root   string
	source *Source
	now    int64
}

func newLinkTest(t *testing.T) *linkTest {
	root := hosttest.Unpack(t, "small_vm")
	return &linkTest{t, root, openSource(t, config(root)), 5_000e9}
}

func (l *linkTest) put(file, content string) {
	hosttest.Put(l.T, l.root, "sys/class/net/eth0/"+file, content+"\n")
}

// speed samples; it is 0 where the speed is absent.
func (l *linkTest) speed() int64 {
	l.Helper()
	sn, err := l.source.Sample(l.Context(), reading.Instant{Boot: l.now})
	require.NoError(l, err)
	require.NoError(l, sn.Err())
	require.Len(l, sn.Interfaces, 1)
	n := &sn.Interfaces[0]
	assert.Equal(l, n.HasSpeed, n.Speed > 0)
	return n.Speed
}

func TestLinkSpeed(t *testing.T) {
	for text, want := range map[string]int64{
		"10": 10e6, "10000": 10e9, "800000": 800e9,
		"0": 0, "-1": 0, "4294967295": 0, "99999999999999999999": 0, "": 0, "fast": 0,
	} {
		t.Run(text, func(t *testing.T) {
			l := newLinkTest(t)
			l.put("speed", text)
			assert.Equal(t, want, l.speed())
		})
	}
}

func TestLinkSpeedIsAskedForWhenTheCarrierChanged(t *testing.T) {
	l := newLinkTest(t)
	assert.Equal(t, int64(10e9), l.speed())
	l.put("speed", "1000")
	l.now += reask - 1
	assert.Equal(t, int64(10e9), l.speed(), "nothing says that it changed")
	l.put("carrier_changes", "4")
	assert.Equal(t, int64(1e9), l.speed())
	l.put("carrier_changes", "5")
	l.put("speed", "-1")
	assert.Zero(t, l.speed(), "it went down")
	l.put("carrier_changes", "6")
	l.put("speed", "1000")
	assert.Equal(t, int64(1e9), l.speed())
}

func TestLinkSpeedIsAskedForOnceInAWhile(t *testing.T) {
	l := newLinkTest(t)
	assert.Equal(t, int64(10e9), l.speed())
	l.put("speed", "25000")
	l.now += reask - 1
	assert.Equal(t, int64(10e9), l.speed())
	l.now++
	assert.Equal(t, int64(25e9), l.speed())
	l.put("speed", "40000")
	l.now += reask - 1
	assert.Equal(t, int64(25e9), l.speed())
}

// Before Linux 3.15 carrier changes are not counted.
func TestLinkSpeedWithoutACountOfCarrierChanges(t *testing.T) {
	l := newLinkTest(t)
	l.put("carrier_changes", "")
	assert.Equal(t, int64(10e9), l.speed())
	l.put("speed", "1000")
	l.now += reask - 1
	assert.Equal(t, int64(10e9), l.speed())
	l.now++
	assert.Equal(t, int64(1e9), l.speed())
}

func TestLinkSpeedIsOfTheVeryInterface(t *testing.T) {
	l := newLinkTest(t)
	assert.Equal(t, int64(10e9), l.speed())
	l.put("ifindex", "7")
	l.put("speed", "2500")
	hosttest.Put(t, l.root, "sys/kernel/uevent_seqnum", "820\n")
	assert.Equal(t, int64(25e8), l.speed())
}

// What is kept open is let go with the interface.
func TestLinksAreForgotten(t *testing.T) {
	root := hosttest.Unpack(t, "small_vm")
	l := links{folder: root + "/sys/class/net", buf: make([]byte, 8)}
	eth := &device{name: "eth0", counts: true, birth: 1}
	for i := range 3 {
		hosttest.Put(t, root, "sys/class/net/eth"+strconv.Itoa(i)+"/carrier_changes", "1\n")
		d := *eth
		d.name = "eth" + strconv.Itoa(i)
		l.speed(i, &d, 0)
	}
	open := l.known[:3]
	l.keep(1)
	assert.True(t, open[0].carrier.open)
	assert.Equal(t, []link{{}, {}}, open[1:])
	bits, known := l.speed(0, eth, 0)
	assert.True(t, known)
	assert.Equal(t, int64(10e9), bits)
	l.keep(0)
	assert.Empty(t, l.known)
}

func FuzzParseSpeed(f *testing.F) {
	for _, text := range []string{"1000\n", "-1\n", "0\n", "4294967295\n", "2147483647\n", "2147483648", "1000 \n", "", "\n1000"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		bits, known := parseSpeed(b)
		assert.Equal(t, known, bits > 0)
		if known {
			assert.Zero(t, bits%1_000_000)
			again, ok := parseSpeed([]byte(strconv.FormatInt(bits/1_000_000, 10) + "\n"))
			assert.True(t, ok)
			assert.Equal(t, bits, again)
		}
	})
}
