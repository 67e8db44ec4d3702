package vmusagereceiver

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receiverhelper"
	"go.uber.org/zap"

	"github.com/vmusage/otelcol-vmusage/receiver/vmusagereceiver/internal/metadata"
)

const (
	// levelTimeout bounds one hand-over of levels: they are worth nothing later.
	levelTimeout = 10 * time.Second
	// offerTimeout bounds one offer of usage, so that a pipeline that never
	// answers cannot keep the other chunks.
	offerTimeout = time.Minute
	// flushTimeout bounds what Shutdown waits for the periods that are left.
	flushTimeout = 5 * time.Second
)

// handover gives batches to the pipeline and tells the collector's own
// receiver metrics about it.
type handover struct {
	next      consumer.Metrics
	report    *receiverhelper.ObsReport
	telemetry *telemetry
}

func (h *handover) give(ctx context.Context, md pmetric.Metrics, points int) error {
	ctx = h.report.StartMetricsOp(ctx)
	err := h.next.ConsumeMetrics(ctx, md)
	h.report.EndMetricsOp(ctx, metadata.Type.String(), points, err)
	return err
}

// levels hands over each batch once: best effort, never retried.
func (h *handover) levels(batches <-chan levelBatch) {
	for b := range batches {
		ctx, cancel := context.WithTimeout(context.Background(), levelTimeout)
		outcome := "accepted"
		if err := h.give(ctx, b.metrics, b.points); err != nil {
			outcome = "refused"
			h.telemetry.logger.Debug("the pipeline refused levels", zap.Error(err))
		}
		h.telemetry.levels(ctx, outcome)
		cancel()
	}
}
