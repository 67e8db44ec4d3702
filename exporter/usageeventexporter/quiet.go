package usageeventexporter

import (
	"context"
	"errors"
	"strings"

	"go.uber.org/zap/zapcore"
)

// exportingFailed begins what exporterhelper logs for every attempt and every
// batch that failed.
const exportingFailed = "Exporting failed."

// quietCore drops such lines where they are no news: while it is known, and was
// said once, that sending fails; and when the caller gave up, who knows best.
// Whatever else exporterhelper has to say goes through.
type quietCore struct {
	zapcore.Core
	failing func() bool
	// loss: nobody waits for the outcome, so that a line of level error is the
	// only trace of a batch that is lost.
	loss bool
}

// Check implements zapcore.Core.
func (c *quietCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	switch {
	case !strings.HasPrefix(e.Message, exportingFailed):
		return c.Core.Check(e, ce)
	case c.loss && e.Level >= zapcore.ErrorLevel:
		return c.Core.Check(e, ce)
	case c.failing():
		return ce
	default:
		return ce.AddCore(e, c) // the fields tell
	}
}

// Write implements zapcore.Core for what Check could not decide.
func (c *quietCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	for i := range fields {
		if err, ok := fields[i].Interface.(error); ok && fields[i].Type == zapcore.ErrorType &&
			(errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
			return nil
		}
	}
	if ce := c.Core.Check(e, nil); ce != nil {
		ce.Write(fields...)
	}
	return nil
}

// With implements zapcore.Core.
func (c *quietCore) With(fields []zapcore.Field) zapcore.Core {
	return &quietCore{c.Core.With(fields), c.failing, c.loss}
}
