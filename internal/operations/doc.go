// Package operations has the tests of what operators are given: docs/metrics.md
// and deploy/. That the metrics which the alerts name are really there is tested
// in internal/e2e.
package operations
