// Package access decides who may do what with the API.
//
//	who: an API key or an authenticator -> Principal
//	how much: rate limits by address and by principal
//	what: the scope of the route, and of what there is, what is the principal's own
//
// It knows HTTP and the contract of authenticators, and nothing of what the API
// serves.
package access
