package openapi

import (
	_ "embed"
	"encoding/json"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
)

//go:embed page.html
var pageSource string

// writePage writes the page for people.
func writePage(w io.Writer, root tree, operations []Operation) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"upper":      strings.ToUpper,
		"paragraphs": func(s string) []string { return strings.Split(strings.TrimSpace(s), "\n\n") },
	}).Parse(pageSource)
	if err != nil {
		return err
	}
	info, _ := root["info"].(tree)
	type schema struct{ Name, JSON string }
	var schemas []schema
	components, _ := root["components"].(tree)
	byName, _ := components["schemas"].(tree)
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		b, err := json.MarshalIndent(byName[name], "", "  ")
		if err != nil {
			return err
		}
		schemas = append(schemas, schema{name, string(b)})
	}
	return t.Execute(w, map[string]any{"Info": info, "Operations": operations, "Schemas": schemas})
}
