// Package interop has tests of what others read and verify: the CloudEvents SDK for Go and
// its Kafka binding, and Standard Webhooks. It is a module of its own, so that they stay out of the
// requirements of the components.
package interop
