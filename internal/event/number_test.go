package event

import (
	"encoding/json"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAppendRatio(t *testing.T) {
	const most = math.MaxInt64
	for _, tc := range []struct {
		a, b, d uint64
		want    string
	}{
		{0, million, 1, "0"},
		{1, million, 0, "0"}, // nothing was allotted
		{1, million, 3, "0.333333"},
		{2, million, 3, "0.666667"},
		{1, 1, 2, "0.000001"},  // half up
		{1, 1, 3, "0"},         // less than half
		{3, 1, 2, "0.000002"},  // half up
		{5, million, 2, "2.5"}, // trailing zeros go
		{1999999, 1, 2, "1"},   // carries into the whole
		{10, million, 1, "10"}, // zeros of the whole stay
		{most, 100 * million, 1, "922337203685477580700"},
		{most, 100 * million, most, "100"},
		{most, 976562500000, 1, "9007199254740991999023437.5"},
		{most, 976562500000, most, "976562.5"},
		{most, million, 1 << 20, "8796093022207.999999"},
	} {
		assert.Equal(t, tc.want, string(appendRatio(nil, tc.a, tc.b, tc.d)), "%d*%d/%d", tc.a, tc.b, tc.d)
	}
}

func FuzzAppendRatio(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // not for secrets
	for range 500 {
		f.Add(r.Int64()>>r.IntN(63), r.Int64()>>r.IntN(63))
	}
	f.Add(int64(math.MaxInt64), int64(1))
	f.Fuzz(func(t *testing.T, a, d int64) {
		if a < 0 || d < 0 {
			t.Skip()
		}
		for _, b := range []int64{million, 100 * million, 1e15 / 1024} {
			want := decimal(product(a, b), new(big.Int).Mul(big.NewInt(d), big.NewInt(million)))
			require.Equal(t, string(want), string(appendRatio(nil, uint64(a), uint64(b), uint64(d))), "%d*%d/%d", a, b, d)
		}
	})
}

func FuzzAppendInt(f *testing.F) {
	for i, power := 0, uint64(1); i < 20; i, power = i+1, power*10 {
		f.Add(power)
		f.Add(power - 1)
		f.Add(-power)
	}
	f.Add(uint64(1) << 63)
	f.Fuzz(func(t *testing.T, v uint64) {
		require.Equal(t, strconv.FormatUint(v, 10), string(appendUint(nil, v)))
		require.Equal(t, strconv.FormatInt(int64(v), 10), string(appendInt(nil, int64(v))))
		b := new(big.Int).Lsh(new(big.Int).SetUint64(v%1e19), 64)
		b.Add(b, new(big.Int).SetUint64(^v))
		require.Equal(t, b.String(), string(appendUint128(nil, v%1e19, ^v)))
	})
}

// TestEightDigits tries every value of each lane, and lanes beside each other.
func TestEightDigits(t *testing.T) {
	for v := range uint64(10_000) {
		for _, v := range []uint64{v, v * 10_000, v*10_000 + v, v*10_000 + 9999 - v, 99_990_000 + v} {
			var want uint64
			for n, i := v, 7; i >= 0; n, i = n/10, i-1 {
				want |= n % 10 << (8 * i)
			}
			if eightDigits(v) != want {
				t.Fatalf("%d: %016x, want %016x", v, eightDigits(v), want)
			}
		}
	}
}

func FuzzAppendString(f *testing.F) {
	for b := range 256 {
		f.Add(string([]byte{byte(b)}), b%20)
	}
	for _, s := range []string{"", "\u2028", "\u2029", "\u202a", "é", "\xed\xa0\x80", "\xf0\x9f\x9a", "🚀", "\ufffd", "<&>"} {
		f.Add(s, 7)
	}
	f.Fuzz(func(t *testing.T, s string, at int) {
		// at every place of a word, and where words overlap
		pad := "abcdefghijklmnopqrstuvwxyz"
		at = min(max(at, 0), len(pad))
		for _, s := range []string{s, s + s, pad[:at] + s, pad[:at] + s + pad[at:], s + pad[at:]} {
			want, err := refJSON(s)
			require.NoError(t, err)
			got := appendString(nil, s)
			require.Equal(t, string(want), string(got))
			require.True(t, json.Valid(got))
		}
	})
}
