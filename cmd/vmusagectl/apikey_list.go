package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/render"
	"github.com/vmusage/otelcol-vmusage/internal/apikey"
)

func newAPIKeyList(t terminal) *cobra.Command {
	var file string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "See which keys there are",
		Long: `See the keys of a file: what they see and may do, and whether they are active,
expired or disabled. A file with a mistake in it is told line by line; a collector
goes on with the keys that it had.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return listKeys(t, file, asJSON, time.Now()) },
	}
	keyFileFlag(cmd, &file)
	cmd.Flags().BoolVar(&asJSON, "json", false, "a JSON object for each key, one a line")
	return cmd
}

// listedKey is a key as --json shows it.
type listedKey struct {
	ID      string       `json:"id"`
	Name    string       `json:"name"`
	UserID  string       `json:"user_id,omitempty"`
	OrgID   string       `json:"org_id,omitempty"`
	Admin   bool         `json:"admin"`
	Scopes  []string     `json:"scopes"`
	State   apikey.State `json:"state"`
	Created *time.Time   `json:"created"`
	Expires *time.Time   `json:"expires"`
}

func listKeys(t terminal, file string, asJSON bool, now time.Time) error {
	document, err := readKeys(file)
	if err != nil {
		return err
	}
	keys, err := apikey.Parse(document)
	if err != nil {
		return fmt.Errorf("%s:\n%w", file, err)
	}
	slices.SortFunc(keys, byName)
	if !asJSON {
		if _, err := fmt.Fprint(t.out, render.Keys(keys, now)); err != nil {
			return fmt.Errorf("show the keys: %w", err)
		}
		return nil
	}
	enc := json.NewEncoder(t.out)
	for i := range keys {
		k := &keys[i]
		l := listedKey{ID: k.ID, Name: k.Name, UserID: k.UserID, OrgID: k.OrgID, Admin: k.Admin, Scopes: k.Scopes, State: k.StateAt(now)}
		if !k.Created.IsZero() {
			l.Created = &k.Created
		}
		if !k.Expires.IsZero() {
			l.Expires = &k.Expires
		}
		if err := enc.Encode(l); err != nil {
			return fmt.Errorf("show the keys: %w", err)
		}
	}
	return nil
}
