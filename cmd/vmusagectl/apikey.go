package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vmusage/otelcol-vmusage/internal/apikey"
)

const defaultKeyFile = "keys.yaml"

func newAPIKey(t terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apikey",
		Short: "Make and revoke keys of the usage API",
		Long: `The usage API takes keys from a file that its configuration names:

  extensions: {usage_api: {api_keys: {file: ./keys.yaml}}}

The file has hashes of keys, never the keys themselves. A collector that runs takes
over what changes in it within seconds. Without a collector nothing is needed but
the file.

With these commands you can
  create   make a key, and see it, once
  list     see which keys there are
  revoke   make a key invalid`,
		Example: `  vmusagectl apikey create --name portal --org acme --expires 90d
  vmusagectl apikey list
  vmusagectl apikey revoke 7k2m9x4qaz`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newAPIKeyCreate(t), newAPIKeyList(t), newAPIKeyRevoke(t))
	return cmd
}

// keyFileFlag adds the flag that names the file.
func keyFileFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "file", "f", defaultKeyFile, "the file of keys")
}

type createKey struct {
	file    string
	key     apikey.Key
	scopes  []string
	expires string
}

func newAPIKeyCreate(t terminal) *cobra.Command {
	var o createKey
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a key, and see it, once",
		Long: `Make a key and add its hash to the file, which is written if it is not there. The
key goes to stdout, and is nowhere else: who loses it needs another one.

It sees the instances of a user, those of an organization, or, with --admin, all.
Scopes are what it may do: ` + strings.Join(apikey.Scopes(), ", ") + `.

A file that is new can be read by its owner only; let the collector's user read it. One
that is there keeps its owner and its permissions.`,
		Example: `  vmusagectl apikey create --name portal --user u-42
  vmusagectl apikey create --name billing --org acme --scopes usage:read --expires 2027-06-30
  KEY=$(vmusagectl apikey create --name oncall --admin --expires 90d)`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return o.run(t, time.Now()) },
	}
	keyFileFlag(cmd, &o.file)
	f := cmd.Flags()
	f.StringVar(&o.key.Name, "name", "", "who gets it, for logs and people (required)")
	f.StringVar(&o.key.UserID, "user", "", "it sees the instances of this user")
	f.StringVar(&o.key.OrgID, "org", "", "it sees the instances of this organization")
	f.BoolVar(&o.key.Admin, "admin", false, "it sees all instances")
	f.StringSliceVar(&o.scopes, "scopes", nil, "what it may do (default: all for --admin, else all but health:read)")
	f.StringVar(&o.expires, "expires", "365d", "until when: a date, a time, a number of days such as 90d, or never")
	return cmd
}

func (o *createKey) run(t terminal, now time.Time) error {
	k := o.key
	if k.Name == "" {
		return usagef("--name is missing: write who gets the key, such as --name portal")
	}
	owners := 0
	for _, is := range []bool{k.UserID != "", k.OrgID != "", k.Admin} {
		if is {
			owners++
		}
	}
	if owners != 1 {
		return usagef("give one of --user, --org and --admin: what the key sees")
	}
	var err error
	if k.Expires, err = expiry(o.expires, now); err != nil {
		return err
	}
	k.Scopes = slices.Clone(o.scopes)
	if len(k.Scopes) == 0 {
		k.Scopes = slices.DeleteFunc(apikey.Scopes(), func(s string) bool { return !k.Admin && s == "health:read" })
	}
	for _, s := range k.Scopes {
		if !slices.Contains(apikey.Scopes(), s) {
			return usagef("--scopes has %q: there are %s", s, strings.Join(apikey.Scopes(), ", "))
		}
	}
	var token string
	k.ID, token = apikey.NewToken()
	k.Hash, k.Created = apikey.HashOf(token), now.UTC().Truncate(time.Second)
	err = changeKeys(o.file, true, func(document []byte) ([]byte, error) { return apikey.Add(document, &k) })
	if err != nil {
		return err
	}
	until := "it does not expire"
	if !k.Expires.IsZero() {
		until = "valid until " + k.Expires.Format(time.RFC3339)
	}
	t.say("key %s for %s: %s; it may %s. Its hash is in %s; the key is shown this once:", k.ID, k.For(), until, strings.Join(k.Scopes, ", "), o.file)
	if _, err := fmt.Fprintln(t.out, token); err != nil {
		return fmt.Errorf("show the key, which is in the file and of no use now (revoke %s): %w", k.ID, err)
	}
	return nil
}

// expiry returns the time that a flag says; zero is never.
func expiry(text string, now time.Time) (time.Time, error) {
	if text == "never" {
		return time.Time{}, nil
	}
	var at time.Time
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n <= 36_500 {
			at = now.AddDate(0, 0, n)
		}
	} else if t, err := time.Parse(time.DateOnly, text); err == nil {
		at = t
	} else if t, err := time.Parse(time.RFC3339, text); err == nil {
		at = t
	}
	at = at.UTC().Truncate(time.Second)
	switch {
	case at.IsZero():
		return at, usagef("--expires is %q: write a date such as 2027-06-30, a time such as 2027-06-30T12:00:00Z, days such as 90d, or never", text)
	case !at.After(now):
		return at, usagef("--expires is %q, which is over", text)
	}
	return at, nil
}

func newAPIKeyRevoke(t terminal) *cobra.Command {
	var file string
	var remove bool
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "Make a key invalid",
		Long: `Make a key invalid. It stays in the file, disabled, so that logs that name it can be
read; with --remove it is taken out. A collector that runs refuses it within seconds,
and ends the streams that it opened at their next event, or after 15 s.

ID is the part of the key between the underscores: vmu_ID_...`,
		Example: `  vmusagectl apikey revoke 7k2m9x4qaz`,
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			id := args[0]
			if of, ok := apikey.IDOf(id); ok {
				id = of // the whole key was given
			}
			change := apikey.Disable
			if remove {
				change = apikey.Remove
			}
			err := changeKeys(file, false, func(document []byte) ([]byte, error) { return change(document, id) })
			if errors.Is(err, apikey.ErrNoKey) {
				return fmt.Errorf("%s: %w: %q; vmusagectl apikey list has those that there are", file, apikey.ErrNoKey, id)
			}
			if err != nil {
				return err
			}
			t.say("key %s is revoked", id)
			return nil
		},
	}
	keyFileFlag(cmd, &file)
	cmd.Flags().BoolVar(&remove, "remove", false, "take it out of the file, too")
	return cmd
}

// byName orders keys for people.
func byName(a, b apikey.Key) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) }
