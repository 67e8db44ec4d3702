package usageeventexporter

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/usage/usagetest"
)

func sample(t testing.TB) *request {
	return converted(t, defaults(nil), usageOf(usagetest.Host(1), usagetest.Host(2)))
}

func TestStoredRequestsComeBack(t *testing.T) {
	for _, want := range []*request{sample(t), newRequest(numbered(0, 3)), newRequest([]record{})} {
		data, err := requestEncoding{}.Marshal(context.Background(), want)
		require.NoError(t, err)
		ctx, got, err := requestEncoding{}.Unmarshal(data)
		require.NoError(t, err)
		require.NotNil(t, ctx)
		for i := range data {
			data[i] = 0 // belongs to the storage
		}
		assertSame(t, want, got.(*request))
	}
}

func assertSame(t *testing.T, want, got *request) {
	t.Helper()
	require.Equal(t, want.bytes, got.bytes)
	require.Len(t, got.records, len(want.records))
	for i := range want.records {
		w, g := want.records[i], got.records[i]
		if len(w.headers) == 0 {
			w.headers, g.headers = nil, nil
		}
		assert.Equal(t, w, g)
	}
}

// Every byte that is wrong, and every byte that is missing, is noticed.
func TestCorruption(t *testing.T) {
	good := newRequest(numbered(0, 2)).append(nil)
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 0x20
		_, err := decodeRequest(bad)
		require.ErrorIs(t, err, errCorrupt, "byte %d", i)
		_, err = decodeRequest(good[:i])
		require.ErrorIs(t, err, errCorrupt, "cut at %d", i)
	}
	_, err := decodeRequest(append(good, 0))
	require.ErrorIs(t, err, errCorrupt)
}

// withChecksum makes a request of a body, so that fuzzing gets beyond the checksum.
func withChecksum(body []byte) []byte {
	data := append([]byte(encodingMagic), body...)
	return binary.LittleEndian.AppendUint32(data, crc32.Checksum(data, castagnoli()))
}

func TestWhatIsNoRequestSaysWhere(t *testing.T) {
	for name, body := range map[string][]byte{
		"nothing":             {},
		"endless number":      {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
		"more than there are": {0x02, 0, 0, 0, 0, 0},
		"a text too long":     {0x01, 0x09, 'a', 'b', 'c', 'd', 'e'},
		"headers too many":    {0x01, 0, 0, 0, 0, 0x05, 0, 0, 0},
		"left over":           {0x00, 0x00},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decodeRequest(withChecksum(body))
			require.ErrorIs(t, err, errCorrupt)
			assert.ErrorContains(t, err, "at byte")
		})
	}
}

// FuzzDecodeRequest: what is read is written back to what reads the same, and
// nothing panics or takes much more memory than there is input.
func FuzzDecodeRequest(f *testing.F) {
	for _, r := range []*request{sample(f), newRequest(numbered(0, 3)), newRequest(nil)} {
		data := r.append(nil)
		f.Add(data[len(encodingMagic):len(data)-encodingChecksum], true)
		f.Add(data, false)
	}
	f.Fuzz(func(t *testing.T, data []byte, body bool) {
		if body {
			data = withChecksum(data)
		}
		r, err := decodeRequest(data)
		if err != nil {
			require.ErrorIs(t, err, errCorrupt)
			return
		}
		again, err := decodeRequest(r.append(nil))
		require.NoError(t, err)
		assertSame(t, r, again)
	})
}
