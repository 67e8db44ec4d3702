package usageeventexporter

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns()
		ctx, cancel := context.WithCancelCause(t.Context())
		take := func(alone bool) (func(), error) { return turns.take(ctx, alone) }
		var order []string
		later := func(name string, alone bool) chan func() {
			out := make(chan func(), 1)
			go func() {
				end, err := take(alone)
				if err != nil {
					order = append(order, name+" gave up")
					close(out)
					return
				}
				order = append(order, name)
				out <- end
			}()
			synctest.Wait()
			return out
		}
		first, err := take(false)
		require.NoError(t, err)
		second, err := take(false)
		require.NoError(t, err, "together")

		alone := later("alone", true)
		after := later("after", false)
		assert.Empty(t, order, "who asks later waits for who wants to be alone")
		first()
		synctest.Wait()
		assert.Empty(t, order)
		second()
		(<-alone)()
		(<-after)()
		assert.Equal(t, []string{"alone", "after"}, order)

		end, err := take(true)
		require.NoError(t, err)
		given := later("third", true)
		why := errors.New("why")
		cancel(why)
		_, ok := <-given
		assert.False(t, ok, "nobody waits beyond the context")
		_, err = take(false)
		require.ErrorIs(t, err, why)
		end()
		assert.Zero(t, turns.wanted+turns.together)
		assert.False(t, turns.alone)
	})
}
