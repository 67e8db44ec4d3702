package event

import _ "embed" // of the schemas

//go:embed schema/resource_usage-1.0.json
var schema10 string

//go:embed schema/resource_usage-1.1.json
var schema11 string

// Schema returns the JSON Schema (draft 2020-12) of the resource_usage event of
// version v. The caller owns the bytes. It panics where v is not a version.
func Schema(v Version) []byte {
	return []byte([...]string{V1_0: schema10, V1_1: schema11}[v])
}
