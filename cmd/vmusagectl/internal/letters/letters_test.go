package letters

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

const eventID = "5d0c8f0e-8a4c-5b43-9a52-1f3f2e1b7c11"

// record returns a dead letter with these headers in place of, or besides, those
// of a proper one; an empty value takes the header away.
func record(headers ...string) *kgo.Record {
	r := &kgo.Record{
		Topic: "usage_events_dlq", Partition: 1, Offset: 7, Timestamp: time.Unix(1626350500, 0),
		Key: []byte("vm"), Value: []byte(`{"event_id":"` + eventID + `"}`),
	}
	pairs := append([]string{
		"event-id", eventID, "ce_type", "usage", headerReason, "value", headerError, "no good", headerTopic, "usage_events",
		headerAttempts, "2", headerTime, "2021-07-15T12:00:30.000000001Z", headerContent, ContentEvent, headerSource, "host",
	}, headers...)
	last := make(map[string]string)
	for i := 0; i < len(pairs); i += 2 {
		last[pairs[i]] = pairs[i+1]
	}
	for i := 0; i < len(pairs); i += 2 {
		if v, left := last[pairs[i]]; left && v != "" {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: pairs[i], Value: []byte(v)})
			delete(last, pairs[i])
		}
	}
	return r
}

func TestDecode(t *testing.T) {
	assert.Equal(t, &Letter{
		Position: Position{1, 7}, Time: time.Date(2021, 7, 15, 12, 0, 30, 1, time.UTC), Instance: "vm", EventID: eventID,
		Reason: "value", Error: "no good", Topic: "usage_events", Attempts: new(int64(2)), Content: ContentEvent, Source: "host", Size: 51,
	}, Decode(record()))

	for name, tc := range map[string]struct {
		record  *kgo.Record
		check   func(*Letter) bool
		problem string
	}{
		"cut":               {record(headerTruncated, "2000000"), func(l *Letter) bool { return l.Truncated && *l.FullSize == 2_000_000 }, ""},
		"cut, who knows":    {record(headerTruncated, "much"), func(l *Letter) bool { return l.Truncated && l.FullSize == nil }, `dlq-truncated is "much"`},
		"input":             {record("event-id", "", headerContent, ContentInput), func(l *Letter) bool { return l.EventID == "" && l.Content == ContentInput }, ""},
		"unknown content":   {record(headerContent, "avro"), func(l *Letter) bool { return l.Content == "avro" }, `dlq-content is "avro", want event or otlp_json`},
		"no content":        {record(headerContent, ""), func(l *Letter) bool { return l.EventID == eventID }, "dlq-content is missing"},
		"no reason":         {record(headerReason, ""), func(l *Letter) bool { return l.Reason == "" }, "dlq-reason is missing"},
		"no topic":          {record(headerTopic, ""), func(l *Letter) bool { return l.Topic == "" }, "dlq-topic is missing"},
		"no attempts":       {record(headerAttempts, ""), func(l *Letter) bool { return l.Attempts == nil }, "dlq-attempts is missing"},
		"attempts of zero":  {record(headerAttempts, "0"), func(l *Letter) bool { return l.Attempts == nil }, `dlq-attempts is "0", want a decimal number from 1`},
		"attempts below":    {record(headerAttempts, "-1"), func(l *Letter) bool { return l.Attempts == nil }, `is "-1"`},
		"attempts beyond":   {record(headerAttempts, "9223372036854775808"), func(l *Letter) bool { return l.Attempts == nil }, `is "9223372036854775808"`},
		"no time":           {record(headerTime, ""), func(l *Letter) bool { return l.Time.Equal(time.Unix(1626350500, 0)) }, ""},
		"odd time":          {record(headerTime, "noon"), func(l *Letter) bool { return l.Time.Equal(time.Unix(1626350500, 0)) }, `dlq-time is "noon", want RFC 3339`},
		"before year 0":     {record(headerTime, "0000-01-01T00:00:00+01:00"), func(l *Letter) bool { return l.Time.IsZero() }, ""},
		"another time zone": {record(headerTime, "2021-07-15T14:00:30+02:00"), func(l *Letter) bool { return l.Time.Format(time.DateTime) == "2021-07-15 12:00:30" }, ""},
		"id of a header":    {record("event-id", "", "ce_id", "x"), func(l *Letter) bool { return l.EventID == "x" }, ""},
		"id of the value":   {record("event-id", ""), func(l *Letter) bool { return l.EventID == eventID }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := Decode(tc.record)
			assert.True(t, tc.check(l), "%+v", l)
			if tc.problem == "" {
				assert.Empty(t, l.Problems)
			} else {
				require.Len(t, l.Problems, 1)
				assert.Contains(t, l.Problems[0], tc.problem)
			}
		})
	}

	// A replayed event that comes back has a count of its own before the exporter's.
	r := record()
	r.Headers = append([]kgo.RecordHeader{{Key: headerAttempts, Value: []byte("1")}}, r.Headers...)
	assert.EqualValues(t, 2, *Decode(r).Attempts)
	assert.Len(t, Decode(&kgo.Record{}).Problems, 4)
}

func TestEventID(t *testing.T) {
	for value, want := range map[string]string{
		``: "", `{`: "", `[]`: "", `{"event_id":7}`: "", `{"id":"a"}`: "",
		`{"event_id":"a"}`: "a", `{"specversion":"1.0","id":"a","data":{"event_id":"a"}}`: "a",
	} {
		assert.Equal(t, want, EventID(&kgo.Record{Value: []byte(value)}), value)
	}
}

func TestParsePosition(t *testing.T) {
	p, err := ParsePosition("2147483647/9223372036854775807")
	require.NoError(t, err)
	assert.Equal(t, "2147483647/9223372036854775807", p.String())
	for _, bad := range []string{"", "1", "/", "1/", "/1", "-1/1", "1/-1", "1/2/3", "2147483648/1", "1/9223372036854775808", "a/b"} {
		_, err := ParsePosition(bad)
		assert.ErrorContains(t, err, "want PARTITION/OFFSET", bad)
	}
}

func TestDecide(t *testing.T) {
	at := func(offset int64, headers ...string) *Letter {
		r := record(headers...)
		r.Offset = offset
		return Decode(r)
	}
	empty := record()
	empty.Value = nil
	anonymous := record("event-id", "")
	anonymous.Value = []byte("{}")

	const later = "2021-07-15T12:00:31Z"
	for name, tc := range map[string]struct {
		letters []*Letter
		filter  Filter
		want    []Refusal
		why     string // of the first
	}{
		"good":               {[]*Letter{at(1)}, Filter{}, []Refusal{""}, ""},
		"below the limit":    {[]*Letter{at(1, headerAttempts, "4")}, Filter{}, []Refusal{""}, ""},
		"at the limit":       {[]*Letter{at(1, headerAttempts, "5")}, Filter{}, []Refusal{AtLimit}, "dead-lettered 5 times, the limit is 5"},
		"input":              {[]*Letter{at(1, headerContent, ContentInput)}, Filter{}, []Refusal{Input}, "/v1/metrics"},
		"cut":                {[]*Letter{at(1, headerTruncated, "99")}, Filter{}, []Refusal{Truncated}, "51 of 99 bytes"},
		"broken":             {[]*Letter{at(1, headerTopic, "")}, Filter{}, []Refusal{Broken}, "dlq-topic is missing; look at it with 'vmusagectl dlq show 1/1'"},
		"from here":          {[]*Letter{at(1, headerTopic, "dlq")}, Filter{}, []Refusal{Broken}, "the dead-letter topic itself"},
		"empty":              {[]*Letter{Decode(empty)}, Filter{}, []Refusal{Broken}, "empty"},
		"anonymous":          {[]*Letter{Decode(anonymous)}, Filter{}, []Refusal{NoID}, "without an event id"},
		"twice":              {[]*Letter{at(1), at(2)}, Filter{}, []Refusal{Superseded, ""}, "at 1/2"},
		"twice, late first":  {[]*Letter{at(1, headerTime, later), at(2)}, Filter{}, []Refusal{"", Superseded}, ""},
		"newest at limit":    {[]*Letter{at(1), at(2, headerAttempts, "9")}, Filter{}, []Refusal{Superseded, AtLimit}, ""},
		"newest is cut":      {[]*Letter{at(1), at(2, headerTruncated, "99")}, Filter{}, []Refusal{"", Truncated}, ""},
		"of two topics":      {[]*Letter{at(1), at(2, headerTopic, "other")}, Filter{}, []Refusal{"", ""}, ""},
		"of two events":      {[]*Letter{at(1), at(2, "event-id", "other")}, Filter{}, []Refusal{"", ""}, ""},
		"by reason":          {[]*Letter{at(1), at(2, "event-id", "x", headerReason, "torn")}, Filter{Reason: "value"}, []Refusal{""}, ""},
		"newest left out":    {[]*Letter{at(1), at(2, headerReason, "torn")}, Filter{Reason: "value"}, []Refusal{Superseded}, "at 1/2"},
		"by instance":        {[]*Letter{at(1)}, Filter{Instance: "another"}, []Refusal{}, ""},
		"by event":           {[]*Letter{at(1), at(2, "event-id", "x")}, Filter{EventID: "x", Instance: "vm"}, []Refusal{""}, ""},
		"nothing to look at": {nil, Filter{}, []Refusal{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			decisions := Decide(tc.letters, tc.filter, Limits{MaxAttempts: 5, DeadLetters: "dlq"})
			got := []Refusal{}
			for _, d := range decisions {
				got = append(got, d.Refusal)
			}
			assert.Equal(t, tc.want, got)
			if tc.why != "" {
				assert.Contains(t, decisions[0].Why, tc.why)
			}
		})
	}
}

func TestPending(t *testing.T) {
	var all []*Letter
	for i, topic := range []string{"b", "a", "a", "b"} {
		r := record(headerTopic, topic, "event-id", string(rune('w'+i)))
		r.Offset = int64(i)
		all = append(all, Decode(r))
	}
	decisions := Decide(all, Filter{}, Limits{MaxAttempts: 5})
	p := NewPending(decisions)
	assert.Equal(t, []string{"a", "b"}, p.Topics())
	p.Saw("a", "w", Position{})
	p.Saw("a", "x", Position{2, 9})
	assert.Equal(t, Present, decisions[1].Refusal)
	assert.Equal(t, "its event is in a, partition 2, offset 9", decisions[1].Why)

	moved := *all[0]
	moved.Offset = 99
	assert.Nil(t, p.Take(&moved))
	assert.Nil(t, p.Take(all[1]))
	assert.Same(t, decisions[2], p.Take(all[2]))
	assert.Nil(t, p.Take(all[2]))
	assert.Empty(t, p.TakeTopic("a"))
	assert.Equal(t, []*Decision{decisions[0], decisions[3]}, p.TakeAll())
	assert.Empty(t, p)
}

func TestOriginal(t *testing.T) {
	r := record("dlq-of-tomorrow", "x")
	back := Original(r, Decode(r))
	assert.Equal(t, &kgo.Record{
		Topic: "usage_events", Key: r.Key, Value: r.Value,
		Headers: []kgo.RecordHeader{{Key: "event-id", Value: []byte(eventID)}, {Key: "ce_type", Value: []byte("usage")}, {Key: "dlq-attempts", Value: []byte("2")}},
	}, back)
}

func TestLine(t *testing.T) {
	r := &kgo.Record{
		Topic: "dlq", Partition: 1, Offset: 2, Timestamp: time.Unix(1626350500, 5), Value: []byte("\xff\x00"),
		Headers: []kgo.RecordHeader{{Key: "a", Value: []byte("<ü>")}, {Key: "a\xff"}, {Key: "", Value: []byte{}}},
	}
	got, err := Line(r)
	require.NoError(t, err)
	assert.Equal(t, `{"topic":"dlq","partition":1,"offset":2,"timestamp":"2021-07-15T12:01:40.000000005Z",`+
		`"headers":[{"key":"a","value":"<ü>"},{"key_base64":"Yf8="},{"key":"","value":""}],"value_base64":"/wA="}`+"\n", string(got))
}

func TestByReason(t *testing.T) {
	all := []*Letter{{Reason: "b"}, {Reason: "c"}, {Reason: "a"}, {Reason: "c"}}
	assert.Equal(t, []Count{{"c", 2}, {"a", 1}, {"b", 1}}, ByReason(all))
}

// Whatever the headers are: what is replayed is whole, countable and named, it
// carries nothing of the letter but the count, and an export loses no byte.
func FuzzDecode(f *testing.F) {
	f.Add("dlq-attempts", []byte("2"), "dlq-truncated", []byte("1"), "dlq-time", []byte("2021-07-15T12:00:30Z"), []byte("vm"), []byte("{}"))
	f.Add("dlq-content", []byte("otlp_json"), "event-id", []byte(""), "ce_id", []byte("x"), []byte(""), []byte(`{"event_id":"x"}`))
	f.Add("dlq-topic", []byte("\xff"), "dlq-attempts", []byte("99999999999999999999"), "dlq-time", []byte("0000-01-01T00:00:00+23:59"), []byte("\xff"), []byte("\xff"))
	f.Fuzz(func(t *testing.T, key1 string, value1 []byte, key2 string, value2 []byte, key3 string, value3, key, value []byte) {
		r := record()
		r.Key, r.Value = key, value
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: key1, Value: value1}, kgo.RecordHeader{Key: key2, Value: value2}, kgo.RecordHeader{Key: key3, Value: value3})
		l := Decode(r)
		_, err := json.Marshal(l)
		require.NoError(t, err)

		d := Decide([]*Letter{l}, Filter{}, Limits{MaxAttempts: 5, DeadLetters: "dlq"})
		require.Len(t, d, 1)
		if d[0].Refusal == "" {
			require.False(t, l.Truncated)
			require.Equal(t, ContentEvent, l.Content)
			require.NotEmpty(t, l.EventID)
			require.NotEmpty(t, value)
			require.Less(t, *l.Attempts, int64(5))
			back := Original(r, l)
			require.Equal(t, l.EventID, EventID(back), "a second replay must find it")
			for i, h := range back.Headers {
				require.Equal(t, i == len(back.Headers)-1, strings.HasPrefix(h.Key, prefix))
			}
			again := Decode(back)
			require.Equal(t, l.Attempts, again.Attempts)
		} else {
			require.NotEmpty(t, d[0].Why)
		}

		text, err := Line(r)
		require.NoError(t, err)
		require.Equal(t, len(text)-1, strings.IndexByte(string(text), '\n'))
		var back line
		require.NoError(t, json.Unmarshal(text, &back))
		require.Equal(t, string(value), restored(back.Value, back.ValueBase64))
		require.Equal(t, string(key), restored(back.Key, back.KeyBase64))
		for i, h := range r.Headers {
			require.Equal(t, h.Key, restored(back.Headers[i].Key, back.Headers[i].KeyBase64))
			require.Equal(t, string(h.Value), restored(back.Headers[i].Value, back.Headers[i].ValueBase64))
		}
	})
}

func restored(text *string, other []byte) string {
	if text != nil {
		return *text
	}
	return string(other)
}

func TestBase64IsTheStandardOne(t *testing.T) {
	got, err := Line(&kgo.Record{Value: []byte{0xfb, 0xff}})
	require.NoError(t, err)
	assert.Contains(t, string(got), base64.StdEncoding.EncodeToString([]byte{0xfb, 0xff}))
}
