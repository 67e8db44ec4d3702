package event

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkAppendUsage sets the encoder beside encoding/json with the same
// content, which is laid out as structs outside of what is measured. It is
// handed the id, the averages and the sums that the encoder computes.
func BenchmarkAppendUsage(b *testing.B) {
	p := hostPeriod()
	for v := range numVersions {
		buf := AppendUsage(nil, v, p)
		b.Run(v.String(), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(buf)))
			for b.Loop() {
				buf = AppendUsage(buf[:0], v, p)
			}
		})
		b.Run(v.String()+"/encoding-json", func(b *testing.B) {
			var out bytes.Buffer
			e := json.NewEncoder(&out)
			e.SetEscapeHTML(false)
			content := plainStructs(b, buf)
			b.ReportAllocs()
			b.SetBytes(int64(len(buf)))
			for b.Loop() {
				out.Reset()
				if err := e.Encode(content); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkID(b *testing.B) {
	p := hostPeriod()
	b.ReportAllocs()
	for b.Loop() {
		ID(p)
	}
}

func BenchmarkDecode(b *testing.B) {
	for v := range numVersions {
		b.Run(v.String(), func(b *testing.B) {
			text := AppendUsage(nil, v, hostPeriod())
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := Decode(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// plainStructs returns the content of text as plain structs of integers, floats
// and strings, which encoding/json is fastest with.
func plainStructs(tb testing.TB, text []byte) any {
	tb.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v := plainValue(tb, d).Interface()
	got, err := json.Marshal(v)
	require.NoError(tb, err)
	require.JSONEq(tb, string(text), string(got))
	return v
}

func plainValue(tb testing.TB, d *json.Decoder) reflect.Value {
	tb.Helper()
	token, err := d.Token()
	require.NoError(tb, err)
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			return plainStruct(tb, d)
		}
		var items []reflect.Value
		for d.More() {
			items = append(items, plainValue(tb, d))
		}
		_, err = d.Token()
		require.NoError(tb, err)
		return reflect.Append(reflect.MakeSlice(reflect.SliceOf(items[0].Type()), 0, len(items)), items...)
	case json.Number:
		if i, err := token.Int64(); err == nil {
			return reflect.ValueOf(i)
		}
		f, err := token.Float64()
		require.NoError(tb, err)
		return reflect.ValueOf(f)
	default:
		return reflect.ValueOf(token)
	}
}

func plainStruct(tb testing.TB, d *json.Decoder) reflect.Value {
	tb.Helper()
	var fields []reflect.StructField
	var values []reflect.Value
	for d.More() {
		key, err := d.Token()
		require.NoError(tb, err)
		v := plainValue(tb, d)
		fields = append(fields, reflect.StructField{
			Name: "F" + strconv.Itoa(len(fields)), Type: v.Type(), Tag: reflect.StructTag(`json:"` + key.(string) + `"`),
		})
		values = append(values, v)
	}
	_, err := d.Token()
	require.NoError(tb, err)
	s := reflect.New(reflect.StructOf(fields)).Elem()
	for i, v := range values {
		s.Field(i).Set(v)
	}
	return s
}
