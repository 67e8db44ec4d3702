// Package signing signs what is sent to a webhook, and verifies what came, by Standard
// Webhooks (https://www.standardwebhooks.com): a v1 signature is HMAC-SHA256 over
// id.timestamp.body.
//
// Beside it goes what receivers of an earlier service know: X-Webhook-Signature, the hex
// HMAC-SHA256 of the body alone.
package signing

// The headers of a request, in their canonical form.
const (
	HeaderID        = "Webhook-Id"        // the same at each attempt
	HeaderTimestamp = "Webhook-Timestamp" // unix s of the attempt
	HeaderSignature = "Webhook-Signature" // one for each secret that is valid, with spaces between

	HeaderLegacyEvent = "X-Webhook-Event"     // the event_type of the body
	HeaderLegacy      = "X-Webhook-Signature" // see [Legacy]
)
