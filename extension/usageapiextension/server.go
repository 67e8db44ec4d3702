package usageapiextension

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.uber.org/zap"

	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/api"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/conns"
	"github.com/vmusage/otelcol-vmusage/extension/usageapiextension/internal/problem"
)

// shutdownGrace is what requests that are under way at Shutdown still have.
const shutdownGrace = 2 * time.Second

// server is the HTTP server and its goroutine.
type server struct {
	http    *http.Server
	addr    net.Addr
	closing context.CancelCauseFunc // ends what does not end by itself
	running sync.WaitGroup
}

func startServer(ctx context.Context, host component.Host, set component.TelemetrySettings, cfg *Config, handler http.Handler, closed func(conns.Reason)) (*server, error) {
	proxies, err := cfg.proxies()
	if err != nil {
		return nil, err
	}
	refuse := func(w http.ResponseWriter, r *http.Request, message string, status int) {
		problem.Write(w, r, set.Logger, problem.New(status, "%s", http.StatusText(status)).Because(errors.New(message)))
	}
	h, err := cfg.ServerConfig.ToServer(ctx, host.GetExtensions(), set, handler, confighttp.WithErrorHandler(refuse))
	if err != nil {
		return nil, err
	}
	h.MaxHeaderBytes = cfg.MaxHeaderBytes
	if h.IdleTimeout == 0 {
		h.IdleTimeout = time.Minute
	}
	base, closing := context.WithCancelCause(context.Background())
	h.BaseContext = func(net.Listener) context.Context { return base }

	below, err := cfg.ServerConfig.ToListener(ctx)
	if err != nil {
		closing(nil)
		return nil, fmt.Errorf("endpoint is %q and cannot be listened on: %w", cfg.ServerConfig.NetAddr.Endpoint, err)
	}
	l := conns.New(below, conns.Settings{
		Max: cfg.MaxConnections, PerAddress: cfg.MaxConnectionsPerAddress, Counted: proxies.Neighborhood, Closed: closed,
	})
	h.ConnState = l.State
	s := &server{http: h, addr: l.Addr(), closing: closing}
	set.Logger.Info("the usage API listens", zap.Stringer("endpoint", l.Addr()))
	s.running.Go(func() {
		if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			componentstatus.ReportStatus(host, componentstatus.NewPermanentErrorEvent(fmt.Errorf("the usage API no longer listens: %w", err)))
			set.Logger.Error("the usage API no longer listens", zap.Error(err))
		}
	})
	return s, nil
}

// shutdown lets requests end, for as long as ctx and shutdownGrace allow, and then
// closes their connections.
func (s *server) shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shutdownGrace)
	defer cancel()
	s.closing(api.ErrShutdown)
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		err = s.http.Close()
	}
	s.running.Wait()
	return err
}
