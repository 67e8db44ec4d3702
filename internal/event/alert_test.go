package event

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// firingAlert is a typical one; resolvedAlert ends it.
func firingAlert() *Alert {
	return &Alert{
		Version: alertVersion, ID: uuid.MustParse("5d3f8e0a-6b1c-5e42-9a7d-2f4b6c8d0e1a"), Episode: uuid.MustParse("c1a2b3d4-e5f6-5a7b-8c9d-0e1f2a3b4c5d"),
		Name: "dead_letters", State: AlertFiring, Source: "usage_event/2",
		HostID: "0c52f4b8d3a14b0e9b2f6f7a1c9d8e70", HostName: "rack4-node7",
		Since: 1626350430001234567, At: 1626350430001234567,
		Details: []Detail{{Key: "topic", Text: "usage_events_dlq"}, {Key: "events", Number: 12, Numeric: true}},
	}
}

func resolvedAlert() *Alert {
	a := firingAlert()
	a.ID[0], a.State, a.Reason, a.At = 0x5e, AlertResolved, AlertCleared, 1626350490000000000
	return a
}

func alertSamples() map[string]*Alert {
	return map[string]*Alert{
		"firing": firingAlert(), "resolved": resolvedAlert(),
		"bare": {
			Version: alertVersion, Name: "x", State: AlertResolved, Reason: "\u2028<&>", Source: "\x00\"",
			At: math.MaxInt64, Details: []Detail{{}, {Key: "n", Number: math.MinInt64, Numeric: true}},
		},
	}
}

func TestAlerts(t *testing.T) {
	schema := compileSchema(t, AlertSchema())
	for name, a := range alertSamples() {
		t.Run(name, func(t *testing.T) {
			data := AppendAlert(nil, a)
			golden(t, "alert-"+name+"-1.0.json", data)
			checkSchema(t, schema, data)
			again, err := DecodeAlert(data)
			require.NoError(t, err)
			assert.Equal(t, a, again)
		})
	}
}

// TestAlertSchemaExamples keeps the examples what the encoder writes.
func TestAlertSchemaExamples(t *testing.T) {
	schema := compileSchema(t, AlertSchema())
	var doc struct{ Examples []json.RawMessage }
	require.NoError(t, json.Unmarshal(AlertSchema(), &doc))
	want := []*Alert{firingAlert(), resolvedAlert()}
	require.Len(t, doc.Examples, len(want))
	for i, a := range want {
		checkSchema(t, schema, doc.Examples[i])
		assert.JSONEq(t, string(AppendAlert(nil, a)), string(doc.Examples[i]))
	}
}

// TestAlertSchemaNamesEveryMember: at the root; within there is nothing to forget.
func TestAlertSchemaNamesEveryMember(t *testing.T) {
	schema := compileSchema(t, AlertSchema())
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(AppendAlert(nil, firingAlert())))
	require.NoError(t, err)
	for key := range doc.(map[string]any) {
		assert.Contains(t, schema.Properties, key)
		assert.Contains(t, schema.Required, key)
	}
}

// TestDecodeAlertErrors changes one thing of a good event each; what the schema can say too,
// it does.
func TestDecodeAlertErrors(t *testing.T) {
	schema := compileSchema(t, AlertSchema())
	const fits = true
	for _, tc := range []struct {
		old, new string
		kind     error
		message  string
		fits     bool // the schema alone does not tell
	}{
		{`"pipeline_alert"`, `"alert"`, ErrType, `unexpected event type: event_type is "alert", want "pipeline_alert"`, false},
		{`"1.0"`, `"2.0"`, ErrVersion, `unsupported event version: version is "2.0", want 1.x; it needs another decoder`, false},
		{`"alert":"dead_letters"`, `"alert":"dead letters"`, ErrMalformed, `malformed event: alert is "dead letters", want lower-case letters and underscores`, false},
		{`"state":"firing"`, `"state":"on"`, ErrMalformed, `malformed event: state is "on", want firing or resolved`, false},
		{`"state":"firing"`, `"state":"resolved"`, ErrMalformed, `malformed event: reason is "", and state is "resolved": what is resolved has a reason, and nothing else`, fits},
		{`"episode":"c`, `"episode":"x`, ErrMalformed, `malformed event: episode is "x1a2b3d4-e5f6-5a7b-8c9d-0e1f2a3b4c5d", want a UUID`, false},
		{`"since":"2021-07-15T`, `"since":"2021-07-15t`, ErrMalformed, `malformed event: since is "2021-07-15t12:00:30.001234567Z", want a time by RFC 3339 from 1970 on`, false},
		{`"host":{"id"`, `"host":{"ID"`, ErrMalformed, `malformed event: host.id is missing`, false},
		{`"events":12`, `"events":1.5`, ErrMalformed, `malformed event: details.events is 1.5, want a string or a 64-bit integer`, false},
		{`"details":{`, `"details":[],"d":{`, ErrMalformed, `malformed event: details is [], want an object`, false},
		{`"timestamp":1626350430`, `"timestamp":1626350400`, ErrMalformed, `malformed event: timestamp is 1626350400, and at is 1626350430 whole seconds`, fits},
	} {
		t.Run(tc.new, func(t *testing.T) {
			good := string(AppendAlert(nil, firingAlert()))
			bad := strings.Replace(good, tc.old, tc.new, 1)
			require.NotEqual(t, good, bad, "the case changes nothing")
			a, err := DecodeAlert([]byte(bad))
			assert.Nil(t, a)
			require.ErrorIs(t, err, tc.kind)
			require.EqualError(t, err, tc.message)
			doc, err := jsonschema.UnmarshalJSON(strings.NewReader(bad))
			require.NoError(t, err)
			assert.Equal(t, tc.fits, schema.Validate(doc) == nil)
		})
	}
}

// FuzzDecodeAlert: no input panics, and what is accepted means the same when it is written
// and read again.
func FuzzDecodeAlert(f *testing.F) {
	for _, name := range []string{"firing", "resolved", "bare"} {
		f.Add(AppendAlert(nil, alertSamples()[name]))
	}
	schema := compileSchema(f, AlertSchema())
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := DecodeAlert(data)
		if err != nil {
			assert.Nil(t, a)
			assert.NotEmpty(t, err.Error())
			return
		}
		written := AppendAlert(nil, a)
		checkSchema(t, schema, written)
		again, err := DecodeAlert(written)
		require.NoError(t, err)
		a.Version = alertVersion
		require.Equal(t, a, again)
	})
}
