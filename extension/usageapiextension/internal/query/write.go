package query

import (
	"strconv"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/view"
)

// AppendGroups appends a page of groups as JSON.
func AppendGroups(b []byte, function, by string, groups []*Group, next string) []byte {
	b = append(b, `{"aggregate":`...)
	b = view.AppendText(b, function)
	b = append(b, `,"by":`...)
	b = view.AppendText(b, by)
	b = append(b, `,"groups":[`...)
	for i, g := range groups {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"key":`...)
		if g.HasKey {
			b = view.AppendText(b, g.Key)
		} else {
			b = append(b, "null"...)
		}
		b = append(b, ',')
		b = g.append(b)
		b = append(b, '}')
	}
	return AppendNext(append(b, ']'), next)
}

// AppendNext appends the cursor of the next page, null where there is none, and the
// end of the object.
func AppendNext(b []byte, next string) []byte {
	b = append(b, `,"next_cursor":`...)
	if next == "" {
		return append(b, "null}"...)
	}
	return append(view.AppendText(b, next), '}')
}

// AppendOwner appends the beginning of an object about an owner: whose it is, and the
// sums.
func AppendOwner(b []byte, key, id string, g *Group) []byte {
	b = append(b, `{"`...)
	b = append(b, key...)
	b = append(b, `":`...)
	b = view.AppendText(b, id)
	b = append(b, `,"summary":{`...)
	return append(g.append(b), '}')
}

func (g *Group) append(b []byte) []byte {
	b = append(b, `"instances":`...)
	b = strconv.AppendInt(b, int64(g.Instances), 10)
	b = append(b, `,"values":{`...)
	for f, name := range FigureNames() {
		if f > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, name...)
		b = append(b, `":`...)
		if v, ok := g.Figure(Figure(f)); ok { //nolint:gosec // an index
			b = view.AppendNumber(b, v)
		} else {
			b = append(b, "null"...)
		}
	}
	return append(b, '}')
}
