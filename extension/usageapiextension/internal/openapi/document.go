// Package openapi is the description of the API: OpenAPI 3.1, and a page for people
// that is made from it.
package openapi

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"
)

//go:embed openapi.yaml
var source []byte

// A Document is the description of the API.
type Document struct {
	JSON       []byte // as it is served
	HTML       []byte
	Operations []Operation // in order of paths, then methods
}

// An Operation is something that can be asked.
type Operation struct {
	ID, Method, Path string
	Tag              string
	Scope            string   // what one has to be allowed; "" is nothing
	Summary          string   //
	Description      string   //
	Examples         []string // paths with queries, with {id}, {user} and {org} in them
	Parameters       []Parameter
	Statuses         []string
}

// A Parameter is one of an operation.
type Parameter struct {
	Name, In, Description string
	Required              bool
	Schema                string // as JSON
}

type tree = map[string]any

// New returns the document.
func New() (*Document, error) {
	var root tree
	if err := yaml.Unmarshal(source, &root); err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	d := &Document{}
	var err error
	if d.JSON, err = json.Marshal(root); err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	d.JSON = append(d.JSON, '\n')
	if d.Operations, err = operations(d.JSON); err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	var page bytes.Buffer
	if err := writePage(&page, root, d.Operations); err != nil {
		return nil, err
	}
	d.HTML = page.Bytes()
	return d, nil
}

// parsed is what is read of the document.
type parsed struct {
	Paths      map[string]map[string]parsedOperation `json:"paths"`
	Components struct {
		Parameters map[string]parsedParameter `json:"parameters"`
	} `json:"components"`
}

type parsedOperation struct {
	OperationID string                     `json:"operationId"`
	Tags        []string                   `json:"tags"`
	Scope       *string                    `json:"x-scope"`
	Summary     string                     `json:"summary"`
	Description string                     `json:"description"`
	Examples    []string                   `json:"x-examples"`
	Parameters  []parsedParameter          `json:"parameters"`
	Responses   map[string]json.RawMessage `json:"responses"`
}

type parsedParameter struct {
	Ref         string          `json:"$ref"`
	Name        string          `json:"name"`
	In          string          `json:"in"`
	Description string          `json:"description"`
	Required    bool            `json:"required"`
	Schema      json.RawMessage `json:"schema"`
}

func operations(document []byte) ([]Operation, error) {
	var p parsed
	if err := json.Unmarshal(document, &p); err != nil {
		return nil, err
	}
	var all []Operation
	for _, path := range slices.Sorted(maps.Keys(p.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(p.Paths[path])) {
			o := p.Paths[path][method]
			if o.Scope == nil || len(o.Tags) != 1 {
				return nil, fmt.Errorf("%s %s has no x-scope, or not one tag", method, path)
			}
			op := Operation{
				ID: o.OperationID, Method: method, Path: path, Tag: o.Tags[0], Scope: *o.Scope,
				Summary: o.Summary, Description: o.Description, Examples: o.Examples,
				Statuses: slices.Sorted(maps.Keys(o.Responses)),
			}
			for _, q := range o.Parameters {
				if name, ok := bytes.CutPrefix([]byte(q.Ref), []byte("#/components/parameters/")); ok {
					q = p.Components.Parameters[string(name)]
				}
				if q.Name == "" {
					return nil, fmt.Errorf("%s %s has a parameter that is not there", method, path)
				}
				op.Parameters = append(op.Parameters, Parameter{q.Name, q.In, q.Description, q.Required, string(q.Schema)})
			}
			all = append(all, op)
		}
	}
	return all, nil
}
