package apikey

import (
	"slices"
	"time"
)

// A Key is one entry of the file.
type Key struct {
	ID   string // 1 to 32 of a-z, 0-9 and -
	Name string // who has it, for logs and people
	Hash Hash

	// Exactly one of these says what it sees: the instances of a user, those of an
	// organization, or all.
	UserID, OrgID string
	Admin         bool

	Scopes   []string  // sorted, at least one
	Created  time.Time // zero where it is not known
	Expires  time.Time // from then on it is not valid; zero is never
	Disabled bool
}

// A State says whether a key is valid.
type State string

// The states.
const (
	Active   State = "active"
	Expired  State = "expired"
	Disabled State = "disabled"
)

// StateAt returns whether the key is valid at a time.
func (k *Key) StateAt(now time.Time) State {
	switch {
	case k.Disabled:
		return Disabled
	case !k.Expires.IsZero() && !now.Before(k.Expires):
		return Expired
	default:
		return Active
	}
}

// For says for people what the key sees.
func (k *Key) For() string {
	switch {
	case k.Admin:
		return "admin"
	case k.OrgID != "":
		return "org " + k.OrgID
	default:
		return "user " + k.UserID
	}
}

// Scopes returns what a key may allow, sorted.
func Scopes() []string {
	return []string{"health:read", "thresholds:read", "thresholds:write", "usage:read", "webhooks:read", "webhooks:write"}
}

func validScope(s string) bool { return slices.Contains(Scopes(), s) }
