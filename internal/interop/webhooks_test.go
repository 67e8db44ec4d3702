package interop

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vmusage/otelcol-vmusage/internal/signing"
)

// The library of Standard Webhooks and ours take each other's signatures, also of several
// secrets, and refuse the same.
func TestStandardWebhooks(t *testing.T) {
	now := time.Now()
	for i := range 50 {
		first, err := signing.NewSecret()
		require.NoError(t, err)
		second, err := signing.NewSecret()
		require.NoError(t, err)
		theirs, err := standardwebhooks.NewWebhook(first.Reveal())
		require.NoError(t, err)
		id, body := fmt.Sprintf("id-%d", i), []byte(fmt.Sprintf(`{"n":%d,"text":"grüße"}`, i))
		header := func(at time.Time, signature string) http.Header {
			h := http.Header{}
			h.Set(standardwebhooks.HeaderWebhookID, id)
			h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
			h.Set(standardwebhooks.HeaderWebhookSignature, signature)
			return h
		}
		ours := func(at time.Time, keys ...signing.Secret) http.Header {
			return header(at, string(signing.Sign(nil, keys, id, at, body)))
		}
		require.NoError(t, theirs.Verify(body, ours(now, first)))
		require.NoError(t, theirs.Verify(body, ours(now, second, first)), "while a secret is rotated")
		require.Error(t, theirs.Verify(body, ours(now, second)))
		require.Error(t, theirs.Verify(append(body, ' '), ours(now, first)))
		require.Error(t, theirs.Verify(body, ours(now.Add(-time.Hour), first)))

		signature, err := theirs.Sign(id, now, body)
		require.NoError(t, err)
		require.NoError(t, signing.Verify([]signing.Secret{first}, header(now, signature), body, now))
		assert.Equal(t, signature, string(signing.Sign(nil, []signing.Secret{first}, id, now, body)))
	}
}
