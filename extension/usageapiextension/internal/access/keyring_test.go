package access

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/route"
	"github.com/vmusage/otelcol-vmusage/internal/apikey"
)

// key returns a new key, and the document of it alone.
func key(t *testing.T, k apikey.Key) (token string, document []byte) {
	t.Helper()
	k.ID, token = apikey.NewToken()
	k.Hash = apikey.HashOf(token)
	if k.Name == "" {
		k.Name = "test"
	}
	if k.Scopes == nil {
		k.Scopes = []string{"usage:read"}
	}
	document, err := apikey.Add(nil, &k)
	require.NoError(t, err)
	return token, document
}

func reasonOf(err error) Reason {
	r, ok := err.(refusal) //nolint:errorlint // what is returned itself
	if !ok {
		return ""
	}
	return r.reason
}

func TestPrincipalOfAKey(t *testing.T) {
	ring := NewKeyring()
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	token, document := key(t, apikey.Key{Name: "portal", OrgID: "o", Expires: now.Add(time.Second), Scopes: []string{"usage:read", "health:read"}})
	_, err := ring.Principal(token, now)
	assert.Equal(t, Unknown, reasonOf(err), "there are no keys yet")

	require.NoError(t, ring.Load(document))
	p, err := ring.Principal(token, now)
	require.NoError(t, err)
	id, _ := apikey.IDOf(token)
	assert.Equal(t, &Principal{Kind: APIKey, ID: id, Name: "portal", OrgID: "o", Scopes: []route.Scope{route.ReadHealth, route.ReadUsage}, hash: apikey.HashOf(token)}, p)

	_, err = ring.Principal(token, now.Add(time.Second))
	assert.Equal(t, Expired, reasonOf(err))

	assert.Same(t, p, ring.Now(p, now))
	assert.Equal(t, Nobody(), ring.Now(p, now.Add(time.Second)), "a stream ends to see anything, too")
	other := &Principal{Kind: Authenticator, ID: id}
	assert.Same(t, other, ring.Now(other, now))

	// The id alone says nothing, not even that the key has expired.
	_, wrong := apikey.NewToken()
	forged := apikey.Prefix + id + wrong[len(wrong)-44:]
	for _, at := range []time.Time{now, now.Add(time.Hour)} {
		_, err = ring.Principal(forged, at)
		assert.Equal(t, Unknown, reasonOf(err))
	}
	_, err = ring.Principal("vmu_"+id, now)
	assert.Equal(t, Unknown, reasonOf(err))
	_, err = ring.Principal(wrong, now)
	assert.Equal(t, Unknown, reasonOf(err))

	document, err = apikey.Disable(document, id)
	require.NoError(t, err)
	require.NoError(t, ring.Load(document))
	_, err = ring.Principal(token, now)
	assert.Equal(t, Revoked, reasonOf(err))
	assert.Equal(t, Nobody(), ring.Now(p, now))

	changed, err := apikey.Add(nil, &apikey.Key{ID: id, Name: "n", Hash: apikey.HashOf(token), UserID: "u", Scopes: []string{"usage:read"}})
	require.NoError(t, err)
	require.NoError(t, ring.Load(changed))
	assert.Equal(t, "u", ring.Now(p, now).UserID, "what the key says now")
	changed, err = apikey.Add(nil, &apikey.Key{ID: id, Name: "n", Hash: apikey.HashOf(wrong), UserID: "u", Scopes: []string{"usage:read"}})
	require.NoError(t, err)
	require.NoError(t, ring.Load(changed))
	assert.Equal(t, Nobody(), ring.Now(p, now), "another secret is another key")

	require.Error(t, ring.Load([]byte("keys: [x]")))
	assert.Equal(t, 1, ring.Len(), "what is wrong changes nothing")
	require.NoError(t, ring.Load([]byte("keys: []")))
	_, err = ring.Principal(token, now)
	assert.Equal(t, Unknown, reasonOf(err), "a key that is gone")
}

func TestKeyringFollowsItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	first, document := key(t, apikey.Key{UserID: "a"})
	second, other := key(t, apikey.Key{UserID: "b"})
	write := func(content []byte) {
		require.NoError(t, os.WriteFile(path+".new", content, 0o600))
		require.NoError(t, os.Rename(path+".new", path))
	}
	synctest.Test(t, func(t *testing.T) {
		ring := NewKeyring()
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		var told []string
		done := make(chan struct{})
		go func() {
			defer close(done)
			ring.Follow(ctx, path, time.Second, func(err error) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, fmt.Sprint(err))
			})
		}()
		valid := func(token string) bool {
			_, err := ring.Principal(token, time.Now())
			return err == nil
		}
		settle := func() []string {
			time.Sleep(2 * time.Second)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			defer func() { told = nil }()
			return told
		}
		assert.Equal(t, []string{path + ": no such file or directory"}, settle())
		write(document)
		assert.Equal(t, []string{"<nil>"}, settle())
		assert.True(t, valid(first))
		write([]byte("keys: [{}]"))
		assert.Len(t, settle(), 1)
		assert.True(t, valid(first), "the last good file stays in force")
		write(other)
		assert.Equal(t, []string{"<nil>"}, settle())
		assert.False(t, valid(first))
		assert.True(t, valid(second))
		require.NoError(t, os.Remove(path))
		settle()
		assert.True(t, valid(second))
		cancel()
		<-done
	})
}

// BenchmarkPrincipal is what each request with a key costs. That an unknown id costs as
// much as a known one keeps ids from being told by time.
func BenchmarkPrincipal(b *testing.B) {
	id, token := apikey.NewToken()
	document, err := apikey.Add(nil, &apikey.Key{ID: id, Name: "n", Hash: apikey.HashOf(token), Admin: true, Scopes: []string{"usage:read"}})
	require.NoError(b, err)
	ring := NewKeyring()
	require.NoError(b, ring.Load(document))
	_, unknown := apikey.NewToken()
	now := time.Now()
	for name, token := range map[string]string{"known": token, "unknown": unknown} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = ring.Principal(token, now)
			}
		})
	}
}
