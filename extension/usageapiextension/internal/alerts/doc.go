// Package alerts says when something goes wrong with metering or with the delivery of
// events, and when it no longer does: to webhooks, as pipeline_alert events.
//
// An alert about one source is an episode, from its beginning to its end. Each of the two is
// one event, whatever restarts and crashes there are in between:
//
//	      Set active          For                      Clear, or Settle after a restart
//	(none) ───────> waiting ──────> begun, told  ────────────────> ended, told ──> (none)
//	                   │                │   ↑
//	                   └> (none)        └───┘ inactive for less than Clear
//
// What is to be told is kept before it is told, and forgotten after; what is told twice because
// of a crash in between has the same id, and is known.
//
// To wire it: make [Alerts] over the engine of webhooks, give [Alerts.Restore] what Keep kept,
// and run [Alerts.Run] between the start of the engine and its shutdown. Then hand over what is
// known by [Alerts.Set], which waits for nobody and calls nobody:
//   - each change of a signal of a component, under the component's id:
//     signals.OnChange(func(s signals.Signal) { a.Set(...) }), which begins with those that are active;
//   - the engine's StatusChanged as [EndpointDisabled], under the id of the hook, with its owner;
//   - deliveries that were dropped as [DeliveriesDropped], likewise, with a time that it lasts.
//
// After a restart say of everything that is still wrong that it is, within Settle: hooks that are
// disabled already, too. An alert of which nobody says anything is over.
package alerts
