// Package query finds instances: filters, order, pages and sums over groups.
package query
