package usageeventexporter

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/exporter/exporterhelper/xexporterhelper"
)

// numbered returns records whose keys are from, from+1, ...
func numbered(from, n int) []record {
	records := make([]record, n, n+3) // with room, as a converter leaves it
	for i := range records {
		records[i] = record{topic: "t", key: fmt.Appendf(nil, "%03d", from+i), value: make([]byte, 67-recordOverhead)}
	}
	return records
}

func keys(reqs ...xexporterhelper.Request) []string {
	var out []string
	for _, r := range reqs {
		for _, rec := range r.(*request).records {
			out = append(out, string(rec.key))
		}
	}
	return out
}

func TestMergeSplit(t *testing.T) {
	items, bytes := exporterhelper.RequestSizerTypeItems, exporterhelper.RequestSizerTypeBytes
	for _, tt := range []struct {
		name     string
		a, b     int // records; b < 0: no second request
		max      int
		sizer    exporterhelper.RequestSizerType
		want     []int
		perBytes int // size of a record here
	}{
		{"merge only", 3, 2, 0, items, []int{5}, 71},
		{"alone", 3, -1, 0, items, []int{3}, 71},
		{"fits", 3, 2, 5, items, []int{5}, 71},
		{"split by items", 3, 4, 5, items, []int{5, 2}, 71},
		{"split alone", 7, -1, 3, items, []int{3, 3, 1}, 71},
		{"split by bytes", 3, 4, 71 * 3, bytes, []int{3, 3, 1}, 71},
		{"larger than the limit", 2, -1, 10, bytes, []int{1, 1}, 71},
		{"empty", 0, 0, 5, items, []int{0}, 71},
		{"empty and not", 0, 2, 1, items, []int{1, 1}, 71},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newRequest(numbered(0, tt.a))
			want := keys(a)
			var b xexporterhelper.Request
			if tt.b >= 0 {
				b = newRequest(numbered(tt.a, tt.b))
				want = append(want, keys(b)...)
			}
			got, err := a.MergeSplit(context.Background(), tt.max, tt.sizer, b)
			require.NoError(t, err)
			var counts []int
			for _, r := range got {
				counts = append(counts, r.ItemsCount())
				assert.Equal(t, r.ItemsCount()*tt.perBytes, r.BytesSize())
			}
			assert.Equal(t, tt.want, counts)
			assert.Equal(t, want, keys(got...), "all, in order")
		})
	}
}

// What was split off must not grow into what follows it.
func TestSplitRequestsAreApart(t *testing.T) {
	got, err := newRequest(numbered(0, 4)).MergeSplit(context.Background(), 2, exporterhelper.RequestSizerTypeItems, nil)
	require.NoError(t, err)
	_, err = got[0].MergeSplit(context.Background(), 0, exporterhelper.RequestSizerTypeItems, newRequest(numbered(7, 2)))
	require.NoError(t, err)
	assert.Equal(t, []string{"002", "003"}, keys(got[1]))
}

type foreign struct{ xexporterhelper.Request }

func TestForeignRequests(t *testing.T) {
	_, err := newRequest(nil).MergeSplit(context.Background(), 0, exporterhelper.RequestSizerTypeItems, foreign{})
	require.Error(t, err)
	_, err = requestEncoding{}.Marshal(context.Background(), foreign{})
	require.Error(t, err)
}

func TestOnErrorLeavesWhatFailed(t *testing.T) {
	records := numbered(0, 4)
	r := newRequest(records)
	assert.Equal(t, &request{records, r.bytes, true}, r.OnError(errors.New("any")))
	assert.Equal(t, &request{records, r.bytes, true}, r.OnError(&publishError{failed: records}))
	open := &publishError{failed: records, cause: errOpen}
	assert.Equal(t, r, r.OnError(open), "there was no attempt")
	assert.Equal(t, &request{records, r.bytes, true}, r.OnError(errors.New("any")).(*request).OnError(open), "there was one before")

	var each sarama.ProducerErrors
	msgs := messages(records)
	for _, i := range []int{1, 3} {
		each = append(each, &sarama.ProducerError{Msg: msgs[i], Err: sarama.ErrNotEnoughReplicas})
	}
	err := &publishError{total: len(records)}
	require.Empty(t, err.sort(records, false, each))
	left := r.OnError(fmt.Errorf("wrapped: %w", err))
	assert.Equal(t, []string{"001", "003"}, keys(left))
	assert.Equal(t, 142, left.BytesSize())
	require.ErrorIs(t, err, sarama.ErrNotEnoughReplicas)
	assert.ErrorContains(t, err, "2 of 4")
}
