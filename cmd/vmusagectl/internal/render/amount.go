package render

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/vmusage/otelcol-vmusage/internal/event"
	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// exact returns the amount of a meter in us or By where the event has it.
func exact(e *event.Event, m usage.Meter) (amount int64, ok bool) {
	p := e.Period
	if p == nil || !p.Metered.Has(m) || p.Quality[m] == usage.Gap {
		return 0, false
	}
	return p.Usage[m], true
}

// seconds is 13 columns wide.
func seconds(e *event.Event, m usage.Meter, whole *int64) string {
	s := unknown
	if us, ok := exact(e, m); ok {
		s = fmt.Sprintf("%d.%03d s", us/1e6, us%1e6/1e3)
	} else if whole != nil {
		s = fmt.Sprintf("%d s", *whole)
	}
	return fmt.Sprintf("%-13s", s)
}

// percent is 7 columns wide.
func percent(v *float64) string {
	if v == nil {
		return fmt.Sprintf("%7s", unknown)
	}
	return fmt.Sprintf("%5.1f %%", *v)
}

// gib is 14 columns wide.
func gib(v *float64) string {
	if v == nil {
		return fmt.Sprintf("%-14s", unknown)
	}
	return fmt.Sprintf("%-14s", fmt.Sprintf("%.2f GiB", *v))
}

func transferred(e *event.Event, m usage.Meter, mb *float64) string {
	if n, ok := exact(e, m); ok {
		return size(float64(n))
	}
	if mb == nil {
		return unknown
	}
	return size(*mb * (1 << 20))
}

// size shows a number of bytes in the largest unit that leaves at least 1.
func size(n float64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%.0f B", n)
	}
	units := []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	i := -1
	for n >= 1<<10 && i < len(units)-1 {
		n /= 1 << 10
		i++
	}
	return fmt.Sprintf("%.2f %s", n, units[i])
}

// Printable replaces what a terminal might obey: names come from events that
// anyone who can write to the topic has made up.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
