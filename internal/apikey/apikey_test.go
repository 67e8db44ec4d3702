package apikey_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/apikey"
)

func TestToken(t *testing.T) {
	id, token := apikey.NewToken()
	other, _ := apikey.NewToken()
	assert.NotEqual(t, id, other)
	got, ok := apikey.IDOf(token)
	assert.True(t, ok, "%s", token)
	assert.Equal(t, id, got)
	assert.True(t, apikey.HashOf(token).Equal(apikey.HashOf(token)))
	assert.False(t, apikey.HashOf(token).Equal(apikey.HashOf(token+"x")))

	secret := strings.Repeat("A", 43)
	for token, want := range map[string]string{
		"vmu_a-1_" + secret:                      "a-1",
		"vmu_a_" + strings.Repeat("_", 42) + "A": "a",
		"":                                       "",
		"vmu_":                                   "",
		"vmu_a":                                  "",
		"vmu__" + secret:                         "",
		"vmu_A_" + secret:                        "",
		"vmu_a_" + secret + "A":                  "",
		"vmu_a_" + secret[1:]:                    "",
		"vmu_a_" + secret[1:] + "=":              "",
		"vmu_a_" + secret[1:] + "B":              "", // bits that are no secret
		"vmu_" + strings.Repeat("a", 33) + "_" + secret: "",
		"VMU_a_" + secret:  "",
		" vmu_a_" + secret: "",
	} {
		got, ok := apikey.IDOf(token)
		assert.Equal(t, want, got, "%q", token)
		assert.Equal(t, want != "", ok, "%q", token)
	}
}

const hash = "sha256:0000000000000000000000000000000000000000000000000000000000000001"

func TestParse(t *testing.T) {
	keys, err := apikey.Parse([]byte(`# ours
keys:
  - id: portal-1
    name: customer portal
    hash: ` + hash + `
    user_id: "42"
    scopes: [usage:read, thresholds:write, usage:read]
    created: 2026-01-01T00:00:00+02:00
    expires: 2027-01-01T00:00:00Z
  - {id: b, name: b, hash: "` + hash + `", org_id: org-1, scopes: [health:read], disabled: true}
  - {id: c, name: c, hash: "` + hash + `", admin: true, user_id: null, scopes: [health:read]}
`))
	require.NoError(t, err)
	require.Len(t, keys, 3)
	k := keys[0]
	assert.Equal(t, hash, k.Hash.String())
	k.Hash = apikey.Hash{}
	assert.Equal(t, apikey.Key{
		ID: "portal-1", Name: "customer portal", UserID: "42", Scopes: []string{"thresholds:write", "usage:read"},
		Created: time.Date(2025, 12, 31, 22, 0, 0, 0, time.UTC), Expires: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
	}, k)
	assert.Equal(t, []string{"user 42", "org org-1", "admin"}, []string{keys[0].For(), keys[1].For(), keys[2].For()})

	assert.Equal(t, apikey.Active, k.StateAt(k.Expires.Add(-1)))
	assert.Equal(t, apikey.Expired, k.StateAt(k.Expires), "it ends at the time, not after it")
	assert.Equal(t, apikey.Disabled, keys[1].StateAt(k.Expires))
	assert.Equal(t, apikey.Active, keys[2].StateAt(k.Expires.AddDate(100, 0, 0)))

	keys, err = apikey.Parse([]byte(`{"keys": []}`))
	require.NoError(t, err)
	assert.Empty(t, keys)
}

// Each rule of the file, with line, key, value and remedy.
func TestProblems(t *testing.T) {
	with := func(fields string) string { return "keys:\n- " + fields }
	ok := "name: n, hash: '" + hash + "', scopes: [usage:read], "
	for doc, want := range map[string]string{
		"":                        "the file is empty: write keys: [] for no keys",
		"# nothing":               "the file is empty: write keys: [] for no keys",
		"- a":                     "line 1: the file is no map: write keys: and a list below it",
		"keys: {}":                "line 1: keys is no list: write keys: [] for no keys",
		"keys: []\nkeys: []":      "keys",
		"key: []":                 `line 1: "key" is not known: the file has only keys`,
		"{}":                      "line 1: keys is missing: write keys: [] for no keys",
		"keys: []\n---\nkeys: []": "a second document begins: put all keys into one list",
		"keys: [":                 "no YAML: ",
		with("x"):                 "line 2: keys[0]: a key is a map with id, name, hash, scopes, and one of user_id, org_id and admin",
		with("*x"):                "no YAML: unknown anchor",
		with("{" + ok + "id: a}"): `line 2: keys[0] "n": must have exactly one of user_id, org_id and admin: true, and has 0`,
		with("{" + ok + "id: a, admin: true, org_id: o}"):                               `keys[0] "n": must have exactly one of user_id, org_id and admin: true, and has 2`,
		with("{" + ok + "admin: true}"):                                                 `line 2: keys[0] "n": id is missing`,
		with("{" + ok + "id: A, admin: true}"):                                          `keys[0] "n": id is "A": must be 1 to 32 of a-z, 0-9 and -`,
		with("{" + ok + "id: a, user_id: 42}"):                                          `user_id is "42": must be a text: put it in quotes`,
		with("{" + ok + "id: a, user_id: ''}"):                                          `user_id is "": must not be empty: leave it out, or write what it is`,
		with("{" + ok + "id: a, user_id: [a]}"):                                         `user_id must be a text`,
		with(`{` + ok + `id: a, user_id: "a\nb"}`):                                      `user_id is "a\nb": must have at most 256 bytes and no control characters`,
		with("{" + ok + "id: a, admin: yes!}"):                                          `admin is "yes!": must be true or false`,
		with("{" + ok + "id: a, admin: true, expires: soon}"):                           `expires is "soon": must be a time such as 2027-01-31T00:00:00Z`,
		with("{" + ok + "id: a, admin: true, expire: soon}"):                            `"expire" is not known: there are id, name, hash,`,
		with("{" + ok + "id: a, id: b, admin: true}"):                                   `id is there twice`,
		with("{id: a, name: n, hash: vmu_a_s3cret, scopes: [usage:read], admin: true}"): `hash must be sha256: and 64 hexadecimal digits, never the key itself`,
		with("{id: a, name: n, hash: '" + hash + "', admin: true}"):                     `scopes is missing`,
		with("{id: a, name: n, hash: '" + hash + "', scopes: [], admin: true}"):         `scopes is []: must have at least one of health:read,`,
		with("{id: a, name: n, hash: '" + hash + "', scopes: usage:read, admin: true}"): `scopes must be a list of health:read,`,
		with("{id: a, name: n, hash: '" + hash + "', scopes: [all], admin: true}"):      `scopes is "all": is no scope: there are health:read,`,
		with("{" + ok + "id: a, admin: true}\n- {" + ok + "id: a, admin: true}"):        `line 3: keys[1] "n": id is "a": is that of keys[0], too: each key has one of its own`,
	} {
		keys, err := apikey.Parse([]byte(doc))
		require.Error(t, err, "%s", doc)
		assert.Nil(t, keys)
		assert.Contains(t, err.Error(), want, "%s", doc)
		assert.NotContains(t, err.Error(), "s3cret")
	}
}

func TestBounds(t *testing.T) {
	_, err := apikey.Parse([]byte("keys:\n" + strings.Repeat("- x\n", 100)))
	require.Error(t, err)
	assert.Equal(t, 20, strings.Count(err.Error(), "\n"))
	assert.Contains(t, err.Error(), "and 80 more problems")
	_, err = apikey.Parse([]byte("keys:\n" + strings.Repeat("- x\n", apikey.MaxKeys+1)))
	require.EqualError(t, err, "line 2: there are 10001 keys: at most 10000")
	_, err = apikey.Parse(make([]byte, apikey.MaxFile+1))
	assert.EqualError(t, err, "the file has 8388609 bytes: at most 8388608")
}

func TestEdit(t *testing.T) {
	a := &apikey.Key{
		ID: "a", Name: "on: call", Hash: apikey.HashOf("a"), UserID: "007", Scopes: []string{"usage:read"},
		Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Expires: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	b := &apikey.Key{ID: "b", Name: "b", Hash: apikey.HashOf("b"), Admin: true, Scopes: apikey.Scopes(), Disabled: true}
	doc, err := apikey.Add(nil, a)
	require.NoError(t, err)
	doc, err = apikey.Add(append(doc, "  # the second\n"...), b)
	require.NoError(t, err)
	keys, err := apikey.Parse(doc)
	require.NoError(t, err)
	assert.Equal(t, []apikey.Key{*a, *b}, keys)
	assert.Contains(t, string(doc), "# Keys of the usage API", "comments stay")

	_, err = apikey.Add(doc, a)
	require.ErrorContains(t, err, "each key has one of its own")
	_, err = apikey.Disable(doc, "c")
	require.ErrorIs(t, err, apikey.ErrNoKey)
	_, err = apikey.Remove(doc, "c")
	require.ErrorIs(t, err, apikey.ErrNoKey)
	_, err = apikey.Disable([]byte("keys: {"), "a")
	require.Error(t, err)

	for range 2 {
		doc, err = apikey.Disable(doc, "a")
		require.NoError(t, err)
		keys, err = apikey.Parse(doc)
		require.NoError(t, err)
		assert.True(t, keys[0].Disabled)
	}
	doc, err = apikey.Remove(doc, "a")
	require.NoError(t, err)
	doc, err = apikey.Remove(doc, "b")
	require.NoError(t, err)
	keys, err = apikey.Parse(doc)
	require.NoError(t, err)
	assert.Empty(t, keys)
	_, err = apikey.Add(doc, a)
	require.NoError(t, err)
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "keys: []", "keys:\n- {id: a, name: n, hash: '" + hash + "', scopes: [usage:read], admin: true}", "keys: [*a]", "a: &a [*a]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		keys, err := apikey.Parse(doc)
		if err != nil {
			assert.Nil(t, keys)
			return
		}
		for i := range keys {
			k := &keys[i]
			assert.NotEmpty(t, k.Scopes)
			assert.NotEmpty(t, k.ID)
			assert.False(t, k.UserID == "" && k.OrgID == "" && !k.Admin)
		}
		added, err := apikey.Add(doc, &apikey.Key{ID: "fuzz-" + "x", Name: "n", Admin: true, Scopes: []string{"usage:read"}})
		if err == nil {
			again, err := apikey.Parse(added)
			require.NoError(t, err)
			assert.Len(t, again, len(keys)+1)
		}
	})
}

func FuzzIDOf(f *testing.F) {
	f.Add("vmu_a_" + strings.Repeat("A", 43))
	f.Add("vmu__")
	f.Fuzz(func(t *testing.T, token string) {
		if id, ok := apikey.IDOf(token); ok {
			assert.True(t, strings.HasPrefix(token, "vmu_"+id+"_"))
			assert.LessOrEqual(t, len(token), apikey.MaxToken)
		}
	})
}
