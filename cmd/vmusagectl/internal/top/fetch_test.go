package top

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/apiclient"
)

// A script is what an API answers, in order: JSON or an error.
type script struct {
	asked   []string
	answers []any
}

func (s *script) Get(_ context.Context, path string, query url.Values, out any) (time.Time, error) {
	s.asked = append(s.asked, strings.TrimSuffix(path+"?"+query.Encode(), "?"))
	if len(s.answers) == 0 {
		return time.Time{}, errors.New("nothing more to say")
	}
	answer := s.answers[0]
	s.answers = s.answers[1:]
	if err, failed := answer.(error); failed {
		return time.Time{}, err
	}
	return noon().Add(time.Duration(len(s.asked)) * time.Second), json.Unmarshal([]byte(answer.(string)), out)
}

func page(next string, ids ...string) string {
	var instances []string
	for _, id := range ids {
		instances = append(instances, fmt.Sprintf(`{"id":%q}`, id))
	}
	return fmt.Sprintf(`{"instances":[%s],"next_cursor":%s}`, strings.Join(instances, ","), next)
}

const fine = `{"status":"ok","components":{"metrics_collection":{"details":[]},"event_publishing":{"details":["slow"]},"api":{"details":["x"]}}}`

func TestPoll(t *testing.T) {
	refused := func(status int, after string) error { return &apiclient.Error{Status: status, RetryAfter: after} }
	broken := errors.New("connection refused")
	for _, test := range []struct {
		name    string
		answers []any
		want    string // ids
		err     string
		waited  time.Duration
		health  Health
	}{
		{name: "no instances", answers: []any{page("null"), fine}, health: Health{"ok", "slow"}},
		{name: "pages", answers: []any{page(`"x&y"`, "a", "b"), page("null", "c"), fine}, want: "abc", health: Health{"ok", "slow"}},
		{name: "one that comes twice", answers: []any{page(`"x"`, "a", "b"), page("null", "b", "c"), fine}, want: "abc", health: Health{"ok", "slow"}},
		{name: "no end", answers: []any{page(`"x"`, "a"), page(`"y"`, "a")}, err: "the list has no end"},
		{name: "an empty page that goes on", answers: []any{page(`"x"`)}, err: "the list has no end"},
		{name: "limits of rates", answers: []any{refused(429, "7"), page("null", "a"), refused(429, "2"), fine}, want: "a", waited: 9 * time.Second, health: Health{"ok", "slow"}},
		{name: "a limit that does not say", answers: []any{refused(429, "")}, err: "429"},
		{name: "a limit in words", answers: []any{refused(429, "Wed, 25 Nov 2026 12:00:00 GMT")}, err: "429"},
		{name: "a limit of an hour", answers: []any{refused(429, "3600")}, err: "429"},
		{name: "limits for ever", answers: []any{
			refused(429, "1"), refused(429, "1"), refused(429, "1"), refused(429, "1"), refused(429, "1"), refused(429, "1"),
			refused(429, "1"), refused(429, "1"), refused(429, "1"), refused(429, "1"), refused(429, "1"), page("null"),
		}, err: "429", waited: 10 * time.Second},
		{name: "not let in", answers: []any{refused(401, "")}, err: "401"},
		{name: "not there", answers: []any{broken}, err: "connection refused"},
		{name: "gone between pages", answers: []any{page(`"x"`, "a"), broken}, err: "connection refused"},
		{name: "health is not for the key", answers: []any{page("null", "a"), refused(403, "")}, want: "a"},
		{name: "health does not answer", answers: []any{page("null", "a"), broken}, want: "a", health: Health{"unknown", "connection refused"}},
		{name: "something else answers", answers: []any{`{"hello":"world"}`}, err: "it has no instances"},
		{name: "null", answers: []any{`{"instances":null}`}, err: "it has no instances"},
		{name: "groups", answers: []any{`{"groups":[],"next_cursor":null}`}, err: "it has no instances"},
		{name: "no id", answers: []any{`{"instances":[{"id":"a"},{"name":"b"}]}`}, err: "instances[1] has no id"},
		{name: "another type", answers: []any{`{"instances":[{"id":"a","cpu":{"count":"4"}}]}`}, err: "cannot unmarshal string"},
	} {
		t.Run(test.name, func(t *testing.T) {
			api := &script{answers: test.answers}
			var waited time.Duration
			p := Poller{API: api, Health: true, Most: 100, Filter: url.Values{"label": {"a=b", "c"}}, Wait: func(_ context.Context, d time.Duration) error { waited += d; return nil }}
			s, err := p.Poll(t.Context())
			assert.Equal(t, test.waited, waited)
			assert.True(t, strings.HasPrefix(api.asked[0], "/api/v1/usage/instances?fields=name%2C"), api.asked[0])
			assert.Contains(t, api.asked[0], "&label=a%3Db&label=c&limit=1000")
			if test.err != "" {
				assert.ErrorContains(t, err, test.err)
				return
			}
			require.NoError(t, err)
			ids := ""
			for _, r := range s.Readings {
				ids += r.ID
			}
			assert.Equal(t, test.want, ids)
			assert.Equal(t, test.health, s.Health)
			if test.name == "pages" {
				assert.Contains(t, api.asked[1], "?cursor=x%26y&")
				assert.Equal(t, noon().Add(time.Second), s.Asked, "that of the first page")
			}
		})
	}
}

func TestPollEndsWhereWaitingDoes(t *testing.T) {
	api := &script{answers: []any{&apiclient.Error{Status: 429, RetryAfter: "1"}, page("null")}}
	p := Poller{API: api, Wait: Wait, Most: 1}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.Poll(ctx)
	require.ErrorIs(t, err, context.Canceled)
	assert.Len(t, api.asked, 1)
}

func TestPollIsBounded(t *testing.T) {
	api := &script{answers: []any{page(`"x"`, "a", "b"), page(`"y"`, "c", "d"), page("null", "e")}}
	_, err := (&Poller{API: api, Most: 4}).Poll(t.Context())
	require.ErrorContains(t, err, "more than 4 instances: ask for fewer")
	assert.Len(t, api.asked, 2)
}

func FuzzPage(f *testing.F) {
	f.Add(`{"instances":[{"id":"a","name":"\u001b[2J","at":"2026-11-25T12:00:00Z","disks":[{"device":"vda","read_bytes":9223372036854775807,"write_bytes":1}]}],"next_cursor":"x"}`, 80)
	f.Add(page("null", "a", "日本語"), 10)
	f.Add(`{"instances":[{"id":"a","cpu":{"utilization":1e300,"count":1e300},"memory":{"used_bytes":-1e308},"gpus":[{"utilization":-1}],"thresholds":{"level":"é̀"}}]}`, 200)
	f.Add(`{"instances":[{"id":"a","at":"0001-01-01T00:00:00Z","uptime_seconds":-1,"network":[{"interface":"","receive_bytes":-1,"transmit_bytes":null}]}]}`, 40)
	f.Fuzz(func(t *testing.T, text string, width int) {
		var p Page
		if json.Unmarshal([]byte(text), &p) != nil {
			return
		}
		s := Screen{Title: text}
		s.Resize(width%300, 20)
		for n := range 2 {
			s.Update(&Snapshot{Readings: p.Instances, Asked: noon()}, noon().Add(time.Duration(n)*time.Second))
			for _, line := range s.Frame(noon()) {
				if columns(line) > s.width {
					t.Fatalf("wider than %d: %q", s.width, line)
				}
				if clean(line) != line {
					t.Fatalf("a terminal may obey %q", line)
				}
			}
		}
		var b strings.Builder
		if err := WriteJSON(&b, s.rows); err != nil {
			t.Fatal(err)
		}
		var rows []Row
		if err := json.Unmarshal([]byte(b.String()), &rows); err != nil || len(rows) != len(p.Instances) {
			t.Fatalf("%v: %s", err, b.String())
		}
		for i := range rows {
			if rows[i].ID != s.rows[i].ID {
				t.Fatalf("%q is written as %q", s.rows[i].ID, rows[i].ID)
			}
		}
	})
}

func FuzzKeyboard(f *testing.F) {
	f.Add([]byte("q\x1b[A\x1b[1;5C\x1bO"), 3)
	f.Fuzz(func(t *testing.T, sent []byte, at int) {
		var whole, parts Keyboard
		want := whole.Type(sent)
		at = max(0, at) % (len(sent) + 1)
		got := append(parts.Type(sent[:at]), parts.Type(sent[at:])...)
		require.Len(t, got, len(want))
		for i := range want {
			assert.Equal(t, want[i], got[i])
		}
		assert.LessOrEqual(t, len(whole.rest), longestSend+1)
	})
}
