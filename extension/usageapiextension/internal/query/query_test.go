package query_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/query"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/store/storetest"
)

const everything = query.Filters | query.Paging | query.Groups | query.Selected

func anybody(string, string) bool { return true }

// random fills a store with n machines of which some share values and some have none.
func random(r *rand.Rand, n int) *store.Store {
	s := store.New(store.Settings{MaxInstances: n, MaxBytes: 1 << 30, Retain: time.Hour, Now: time.Now})
	for i := range n {
		m := storetest.Machine(i)
		m.Instance.Name = fmt.Sprint("web-", r.IntN(5))
		m.Instance.UserID = fmt.Sprint("user-", r.IntN(3))
		m.CPU = float64(r.IntN(4)) / 4
		md := m.Levels(1)
		if r.IntN(4) == 0 {
			md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).SetName("x")
		}
		s.Consume(md)
	}
	return s
}

// All pages put together have each instance that matches once, in an order that does
// not depend on the size of the pages.
func TestPagesAreTheWhole(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := random(r, 1+r.IntN(40))
		for _, order := range []string{"id", "-id", "name", "-name", "cpu", "-cpu", "gpu", "threshold"} {
			collect := func(limit int) (ids []string) {
				values := url.Values{"sort": {order}, "limit": {fmt.Sprint(limit)}, "user": {"user-1"}}
				for {
					q, err := query.Parse(values, everything)
					require.NoError(t, err)
					page, next := q.Page(s.All(), anybody)
					assert.LessOrEqual(t, len(page), limit)
					for _, e := range page {
						ids = append(ids, e.ID())
					}
					if next == "" {
						return ids
					}
					values.Set("cursor", next)
				}
			}
			whole := collect(1000)
			assert.Equal(t, whole, collect(1), order)
			assert.Equal(t, whole, collect(3), order)
			sorted := slices.Sorted(slices.Values(whole))
			assert.Len(t, slices.Compact(sorted), len(whole))
		}
	}
}

// Whatever the parameters are, they are either understood or refused with reasons; and
// what is understood can be answered.
func FuzzParse(f *testing.F) {
	for _, q := range []string{
		"", "user=a&org=b&label=c%3Dd&label=e", "sort=-cpu&limit=5&fields=cpu", "aggregate=sum&by=label:x&cursor=eyJxIjoxfQ",
		"name=[a-&min_cpu=1e309", "cursor=e30", "limit=-1&threshold=ok",
	} {
		f.Add(q)
	}
	s := random(rand.New(rand.NewPCG(1, 1)), 10)
	f.Fuzz(func(t *testing.T, raw string) {
		values, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		q, err := query.Parse(values, everything)
		if err != nil {
			e, ok := err.(*problem.Error) //nolint:errorlint // it is promised
			require.True(t, ok)
			require.NotEmpty(t, e.Invalid)
			return
		}
		q.Page(s.All(), anybody)
		q.Groups(s.All(), anybody)
		q.Sum(s.All(), anybody)
	})
}

// Nobody's cursor does harm: a page of it is a page of the query.
func FuzzCursor(f *testing.F) {
	s := random(rand.New(rand.NewPCG(1, 1)), 10)
	q, err := query.Parse(url.Values{"limit": {"2"}}, everything)
	require.NoError(f, err)
	_, next := q.Page(s.All(), anybody)
	f.Add(next)
	f.Add("e30")
	f.Fuzz(func(t *testing.T, cursor string) {
		q, err := query.Parse(url.Values{"limit": {"2"}, "cursor": {cursor}}, everything)
		if err != nil {
			return
		}
		page, _ := q.Page(s.All(), anybody)
		assert.LessOrEqual(t, len(page), 2)
	})
}
