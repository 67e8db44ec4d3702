package apikey

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"
)

// ErrNoKey is that no key of a file has an id.
var ErrNoKey = errors.New("there is no key with that id")

// Add returns a document with one more key. nil stands for one that has none yet.
// Comments and the other keys stay as they are.
func Add(document []byte, k *Key) ([]byte, error) {
	if document == nil {
		document = []byte("# Keys of the usage API: vmusagectl apikey\nkeys: []\n")
	}
	return edit(document, func(list *yaml.Node) error {
		list.Style = 0 // [] becomes a list of lines
		list.Content = append(list.Content, k.node())
		return nil
	})
}

// Disable returns a document in which a key is not valid any more, but told.
func Disable(document []byte, id string) ([]byte, error) {
	return edit(document, func(list *yaml.Node) error {
		i := find(list, id)
		if i < 0 {
			return ErrNoKey
		}
		n := list.Content[i]
		if at := fieldAt(n, "disabled"); at >= 0 {
			n.Content[at] = plain("true")
		} else {
			n.Content = append(n.Content, plain("disabled"), plain("true"))
		}
		return nil
	})
}

// Remove returns a document without a key.
func Remove(document []byte, id string) ([]byte, error) {
	return edit(document, func(list *yaml.Node) error {
		i := find(list, id)
		if i < 0 {
			return ErrNoKey
		}
		list.Content = slices.Delete(list.Content, i, i+1)
		if len(list.Content) == 0 {
			list.Style = yaml.FlowStyle
		}
		return nil
	})
}

// edit changes the list of a valid document. What comes out is valid, too.
func edit(document []byte, change func(list *yaml.Node) error) ([]byte, error) {
	if _, err := Parse(document); err != nil {
		return nil, err
	}
	var root yaml.Node
	if err := yaml.Unmarshal(document, &root); err != nil {
		return nil, err
	}
	if err := change(root.Content[0].Content[1]); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(&root), enc.Close()); err != nil {
		return nil, err
	}
	if _, err := Parse(b.Bytes()); err != nil {
		return nil, fmt.Errorf("what would be written is not valid: %w", err)
	}
	return b.Bytes(), nil
}

func find(list *yaml.Node, id string) int {
	return slices.IndexFunc(list.Content, func(n *yaml.Node) bool {
		at := fieldAt(n, "id")
		return at >= 0 && n.Content[at].Value == id
	})
}

// fieldAt returns where the value of a field is in a map, or -1.
func fieldAt(n *yaml.Node, field string) int {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == field {
			return i + 1
		}
	}
	return -1
}

func (k *Key) node() *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	put := func(field string, value *yaml.Node) { n.Content = append(n.Content, plain(field), value) }
	text := func(field, value string) {
		if value != "" {
			put(field, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value})
		}
	}
	moment := func(field string, t time.Time) {
		if !t.IsZero() {
			put(field, plain(t.UTC().Format(time.RFC3339)))
		}
	}
	text("id", k.ID)
	text("name", k.Name)
	text("hash", k.Hash.String())
	text("user_id", k.UserID)
	text("org_id", k.OrgID)
	if k.Admin {
		put("admin", plain("true"))
	}
	scopes := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
	for _, s := range k.Scopes {
		scopes.Content = append(scopes.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s})
	}
	put("scopes", scopes)
	moment("created", k.Created)
	moment("expires", k.Expires)
	if k.Disabled {
		put("disabled", plain("true"))
	}
	return n
}

func plain(value string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: value} }
