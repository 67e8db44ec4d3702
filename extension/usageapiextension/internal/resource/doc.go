// Package resource is what endpoints have in common that write things with versions:
// bodies of JSON, entity tags, lists in pages.
package resource
