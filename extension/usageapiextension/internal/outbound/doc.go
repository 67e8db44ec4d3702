// Package outbound sends requests to URLs that tenants chose: to nothing but the public
// network unless the operator allows more, without redirects and proxies, and with an end to what it
// waits for and reads.
package outbound
