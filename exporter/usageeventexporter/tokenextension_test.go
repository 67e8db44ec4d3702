package usageeventexporter

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configoptional"
	"golang.org/x/oauth2"
)

// extensions is a host with extensions.
type extensions struct {
	component.Host
	all map[component.ID]component.Component
}

func (e extensions) GetExtensions() map[component.ID]component.Component { return e.all }

type newStyle struct{ component.Component }

func (newStyle) TokenSource(context.Context) (oauth2.TokenSource, error) {
	return oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "of-an-extension"}), nil
}

type oldStyle struct {
	component.Component
	token *oauth2.Token
	err   error
	wait  chan struct{}
}

func (o oldStyle) Token(context.Context) (*oauth2.Token, error) {
	if o.wait != nil {
		<-o.wait
	}
	return o.token, o.err
}

func TestATokenOfAnExtension(t *testing.T) {
	wait := make(chan struct{})
	t.Cleanup(func() { close(wait) })
	for _, tt := range []struct {
		name      string
		extension component.Component
		token     string
		atStart   string
		err       string
	}{
		{"a source", newStyle{}, "of-an-extension", "", ""},
		{"a token", oldStyle{token: &oauth2.Token{AccessToken: "t"}}, "t", "", ""},
		{"none", nil, "", "there is no extension \"oauth2client\": define it", ""},
		{"another", struct{ component.Component }{}, "", "hands out no tokens", ""},
		{"failing", oldStyle{err: &oauth2.RetrieveError{ErrorCode: "invalid_client", Body: []byte("secret")}}, "", "", "the extension \"oauth2client\": it answers invalid_client"},
		{"empty", oldStyle{}, "", "", "has no token"},
		{"stuck", oldStyle{wait: wait}, "", "", "no answer in time"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := component.MustNewID("oauth2client")
			host := extensions{componenttest.NewNopHost(), map[component.ID]component.Component{}}
			if tt.extension != nil {
				host.all[id] = tt.extension
			}
			source, err := newTokenSource(t.Context(), &SASLConfig{Mechanism: "OAUTHBEARER", TokenSource: configoptional.Some(id)}, time.Minute, host)
			if tt.atStart != "" {
				require.ErrorContains(t, err, tt.atStart)
				return
			}
			require.NoError(t, err)
			source.rejected()
			ctx, cancel := context.WithTimeout(t.Context(), map[bool]time.Duration{true: time.Millisecond, false: patience}[tt.name == "stuck"])
			defer cancel()
			token, err := source.token(ctx)
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				assert.NotContains(t, err.Error(), "secret")
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.token, token)
		})
	}
}
