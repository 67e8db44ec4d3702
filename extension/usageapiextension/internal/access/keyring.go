package access

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/route"
	"github.com/vmusage/otelcol-vmusage/internal/apikey"
	"github.com/vmusage/otelcol-vmusage/internal/watch"
)

// A Keyring is the API keys of a file, as it was when it was last in order. It is safe
// for concurrent use.
type Keyring struct {
	keys atomic.Pointer[map[string]*entry]
}

// entry is a key and its principal, made once.
type entry struct {
	apikey.Key
	principal *Principal
}

// NewKeyring returns one without keys.
func NewKeyring() *Keyring {
	k := &Keyring{}
	k.keys.Store(&map[string]*entry{})
	return k
}

// Len returns how many keys there are, valid or not.
func (k *Keyring) Len() int { return len(*k.keys.Load()) }

// Load takes the keys of a document in the place of all others. A document that is not
// in order changes nothing.
func (k *Keyring) Load(document []byte) error {
	list, err := apikey.Parse(document)
	if err != nil {
		return err
	}
	keys := make(map[string]*entry, len(list))
	for i := range list {
		key := &list[i]
		p := &Principal{Kind: APIKey, ID: key.ID, Name: key.Name, UserID: key.UserID, OrgID: key.OrgID, Admin: key.Admin, hash: key.Hash}
		for _, s := range key.Scopes {
			p.Scopes = append(p.Scopes, route.Scope(s))
		}
		keys[key.ID] = &entry{*key, p}
	}
	k.keys.Store(&keys)
	return nil
}

// Follow loads a file, and again when it changes, until ctx ends. told hears nil or what
// is wrong, once after each change and before the first wait.
func (k *Keyring) Follow(ctx context.Context, path string, interval time.Duration, told func(error)) {
	w := watch.File{
		Path: path, Interval: interval, MaxBytes: apikey.MaxFile,
		Take: func(document []byte) error {
			err := k.Load(document)
			if err == nil {
				told(nil)
			}
			return err
		},
		Failed: told,
	}
	w.Run(ctx)
}

// Principal returns whose a key is. Errors are of the kind [refusal]; only who has the
// whole key is told that it is not valid any more.
func (k *Keyring) Principal(token string, now time.Time) (*Principal, error) {
	id, ok := apikey.IDOf(token)
	if !ok {
		return nil, unknown(errMalformed)
	}
	e, found := (*k.keys.Load())[id]
	known := &entry{} // so that an unknown id takes as long; no key has the hash 0
	if found {
		known = e
	}
	if !known.Hash.Equal(apikey.HashOf(token)) {
		return nil, unknown(fmt.Errorf("no key %q has that secret", id))
	}
	switch known.StateAt(now) {
	case apikey.Disabled:
		return nil, refusal{Revoked, "the API key was revoked", fmt.Errorf("key %q is disabled", id)}
	case apikey.Expired:
		return nil, refusal{Expired, "the API key has expired", fmt.Errorf("key %q has expired", id)}
	case apikey.Active:
	}
	return known.principal, nil
}

// Now returns who the principal of a request that goes on is at a time: whoever it was,
// with what the key says now, or Nobody where the key is not valid any more.
func (k *Keyring) Now(p *Principal, now time.Time) *Principal {
	if p.Kind != APIKey {
		return p
	}
	e, found := (*k.keys.Load())[p.ID]
	if !found || !e.Hash.Equal(p.hash) || e.StateAt(now) != apikey.Active {
		return Nobody()
	}
	return e.principal
}
