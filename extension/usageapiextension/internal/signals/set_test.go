package signals_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/signals"
)

// journal notes changes.
type journal []string

func (j *journal) note(s signals.Signal) {
	*j = append(*j, fmt.Sprintf("%s %s %t %s", s.Source, s.Name, s.Active, s.Detail))
}

func TestChangesAreToldOnce(t *testing.T) {
	var told journal
	s := signals.New(time.Now)
	s.OnChange(told.note)
	s.Report("usage_event", signals.BreakerOpen, false, "")
	assert.Empty(t, told, "it never began")
	s.Report("usage_event", signals.BreakerOpen, true, "refused")
	s.Report("usage_event", signals.BreakerOpen, true, "no route")
	s.Report("usage_event/2", signals.BreakerOpen, true, "x")
	current := s.Current()
	assert.Len(t, current, 2)
	assert.Equal(t, "no route", current[0].Detail, "the newest")
	assert.Equal(t, 2, s.Count(signals.BreakerOpen))
	s.Report("usage_event", signals.BreakerOpen, false, "")
	s.Report("usage_event", signals.BreakerOpen, false, "")
	assert.Equal(t, journal{
		"usage_event breaker_open true refused",
		"usage_event/2 breaker_open true x",
		"usage_event breaker_open false ",
	}, told)
	assert.Equal(t, 1, s.Count(signals.BreakerOpen))

	var late journal
	s.OnChange(late.note)
	assert.Equal(t, journal{"usage_event/2 breaker_open true x"}, late, "what is active already")
}

// Nobody says that no more letters are written.
func TestLettersLastForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told journal
		s := signals.New(time.Now)
		s.OnChange(told.note)
		s.Report("usage_event", signals.DeadLetters, true, "one")
		s.Report("vm_usage", signals.SourceFailing, true, "stays")
		time.Sleep(4 * time.Minute)
		s.Report("usage_event", signals.DeadLetters, true, "two")
		time.Sleep(5*time.Minute - 1)
		s.Expire()
		assert.Len(t, told, 2)
		assert.Equal(t, time.Now().Add(-9*time.Minute+1), s.Current()[0].At, "since the first")
		time.Sleep(time.Nanosecond)
		s.Expire()
		s.Expire()
		assert.Equal(t, journal{
			"usage_event dead_letters true one", "vm_usage source_failing true stays", "usage_event dead_letters false ",
		}, told)
		time.Sleep(time.Hour)
		s.Expire()
		assert.Len(t, s.Current(), 1)
	})
}

func TestWhatIsInventedIsBounded(t *testing.T) {
	s := signals.New(time.Now)
	s.Report("x", "on_fire", true, "")
	assert.Equal(t, uint64(1), s.Ignored())
	for i := range 2000 {
		s.Report(fmt.Sprint(i), signals.SourceFailing, true, strings.Repeat("ü\n", 1000))
	}
	assert.Len(t, s.Current(), 1024)
	assert.Equal(t, uint64(1+2000-1024), s.Ignored())
	detail := s.Current()[0].Detail
	assert.LessOrEqual(t, len(detail), 512)
	assert.NotContains(t, detail, "\n")
	assert.True(t, strings.HasPrefix(detail, "ü ü"))
}

func TestNamesHaveNoDouble(t *testing.T) {
	seen := map[signals.Name]bool{}
	for _, n := range signals.Names() {
		assert.False(t, seen[n], n)
		seen[n] = true
	}
	assert.Len(t, seen, 6)
}

// Begins and ends alternate for who is told, however many report at once.
func TestFromManyGoroutines(t *testing.T) {
	s := signals.New(time.Now)
	active := false
	s.OnChange(func(c signals.Signal) {
		assert.NotEqual(t, active, c.Active)
		active = c.Active
	})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 500 {
				s.Report("x", signals.StorageFailing, (i+j)%2 == 0, "")
				s.Current()
				s.Expire()
			}
		})
	}
	all.Wait()
	assert.Equal(t, active, s.Count(signals.StorageFailing) == 1)
}
