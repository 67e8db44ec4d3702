// Package feed turns what the usage_api exporter hands over into events for webhooks.
//
//	closed period ──> resource_usage        mark: its stream and sequence
//	      └─────────> instance_lifecycle    mark: of the instance, with what it was last
//	violation ──────> threshold_violation   mark: its notification id
//	levels ─────────> metrics               no mark: volatile, one an instance and interval
//
// Where no hook wants a type, nothing is read or built for it.
//
// To wire it: make one Feed over the engine and the store that the API has, and call
// [Feed.Consume] for each batch after the store took it in, so that the levels that are told
// are those that the API shows.
package feed
