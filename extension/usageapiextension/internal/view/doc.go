// Package view writes what is known of instances as JSON: the representations of the
// API. What is not known is null, never 0.
package view
