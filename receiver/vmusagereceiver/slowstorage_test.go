package vmusagereceiver

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// faulty is a storage extension in memory that is slow, or fails.
type faulty struct {
	component.Component
	storage.Client
	delay time.Duration

	mu     sync.Mutex
	fail   error
	values map[string][]byte
}

func (f *faulty) GetClient(context.Context, component.Kind, component.ID, string) (storage.Client, error) {
	return f, nil
}

func (f *faulty) Close(context.Context) error { return nil }

func (f *faulty) Get(_ context.Context, key string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.values[key], nil
}

func (f *faulty) Batch(_ context.Context, ops ...*storage.Operation) error {
	time.Sleep(f.delay)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return f.fail
	}
	for _, op := range ops {
		if op.Type == storage.Set {
			f.values[op.Key] = append([]byte(nil), op.Value...)
		}
	}
	return nil
}

func (f *faulty) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
}

func startOn(t *testing.T, f *faulty, src source, p *pipeline) *vmUsage {
	t.Helper()
	f.values = map[string][]byte{}
	v := newFake(t, src, p, stored)
	require.NoError(t, v.Start(t.Context(), storageHost{componenttest.NewNopHost(), map[component.ID]component.Component{storageID: f}}))
	return v
}

func TestASlowStorageDelaysOnlyWhatItHasToWrite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		src, p := newFakeSource(), &pipeline{}
		v := startOn(t, &faulty{delay: 20 * time.Second}, src, p)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		assert.Len(t, src.taken(), 31, "sampling does not wait")
		assert.Equal(t, 31, p.levelBatches(), "nor do levels")
		assert.Greater(t, len(p.periods()), 5)
		require.NoError(t, v.Shutdown(t.Context()))
	})
}

func TestAReadOnlyStorageHoldsBackWhatIsNotWritten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		src, p, f := newFakeSource(), &pipeline{}, &faulty{}
		v := startOn(t, f, src, p)
		time.Sleep(time.Minute)
		synctest.Wait()
		before := len(p.periods())
		f.set(errors.New("read-only file system"))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		assert.Len(t, p.periods(), before, "what is not written is not handed on")
		assert.Len(t, src.taken(), 67)
		f.set(nil)
		time.Sleep(time.Minute)
		require.NoError(t, v.Shutdown(t.Context()))
		ps := p.periods()
		var sum int64
		for i := range ps {
			assert.EqualValues(t, i+1, ps[i].Sequence)
			sum += ps[i].Usage[usage.CPUTime]
		}
		assert.Equal(t, int64(720_000_000), sum)
	})
}
