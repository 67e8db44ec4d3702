package usageapiextension

import (
	"errors"
	"fmt"
	"net/http"

	"go.uber.org/zap"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/access"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
)

// audit writes a record of a change to the log: who, what, which object, from where,
// and what became of it. It has no credentials.
//
// The number makes each message another one: the collector's log drops messages that
// repeat within seconds.
func (e *usageAPI) audit(r access.Record) {
	status, outcome := 0, "done"
	if r.Err != nil {
		outcome, status = "refused", http.StatusInternalServerError
		if p, ok := errors.AsType[*problem.Error](r.Err); ok {
			status = p.Status
		}
		if status >= http.StatusInternalServerError {
			outcome = "failed"
		}
	}
	from := "local"
	if r.From.IsValid() {
		from = r.From.String()
	}
	fields := []zap.Field{
		zap.String("outcome", outcome), zap.String("operation", r.Operation), zap.String("object", r.Object),
		zap.String("method", r.Method), zap.String("path", r.Path), zap.String("from", from),
		zap.String("principal", r.Principal.Name), zap.String("principal_kind", string(r.Principal.Kind)), zap.String("principal_id", r.Principal.ID),
		zap.String("user_id", r.Principal.UserID), zap.String("org_id", r.Principal.OrgID), zap.Bool("admin", r.Principal.Admin),
	}
	if r.Err != nil {
		fields = append(fields, zap.Int("status", status), zap.Error(r.Err))
	}
	e.set.Logger.Named("audit").Info(fmt.Sprintf("change %d over the API", e.changes.Add(1)), fields...)
}
