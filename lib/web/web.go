// Package web owns a cluster's HTTP side: pages, the text API, the JSON API, server-sent events and metrics, all over a client.
// It is for rc-web; its API may change in any release. Begin with New and Serve.
package web

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/retire-cluster/retire-cluster/lib/client"
)

// Options say what a Server serves.
type Options struct {
	// Find says where the main node is and with which token to read. It is asked again when the main node cannot be reached
	// there, as it may have come back at another address.
	Find func() (client.Options, error)
	Log  *slog.Logger
}

// Server serves one cluster to browsers and scripts.
type Server struct {
	log      *slog.Logger
	main     *mainNode
	feed     *feed
	bulletin *bulletin
	metrics  *prometheus.Registry
	streams  chan struct{} // holds a value for each stream that is open
	ending   chan struct{} // closed when the streams have to end
}

// The limits of what strangers can take.
const (
	maxConnections = 128 // beside those that became streams
	maxStreams     = 256
	maxHeader      = 16 << 10
	maxBody        = 1 << 20

	headerTime   = 5 * time.Second
	requestTime  = 15 * time.Second // to send a whole request
	idleTime     = 60 * time.Second
	writeTime    = 30 * time.Second // to take a piece of the answer
	answerTime   = 10 * time.Second // of the main node
	shutdownTime = 5 * time.Second
)

// New makes a Server. It connects to the main node when it has something to ask.
func New(o Options) *Server {
	s := &Server{
		log:     o.Log,
		main:    &mainNode{find: o.Find},
		metrics: prometheus.NewRegistry(),
		streams: make(chan struct{}, maxStreams),
		ending:  make(chan struct{}),
	}
	s.feed = newFeed(s.look)
	s.bulletin = newBulletin(s.main)
	s.metrics.MustRegister(&collector{s.main})
	return s
}

// Serve answers on l until ctx ends; then it ends the streams, waits for the other requests and returns nil. It may be
// called once, and closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	limited, unused := newLimitListener(l, maxConnections), new(unusedConns)
	server := s.server(l.Addr())
	server.ConnState = unused.note
	inside, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	var group sync.WaitGroup
	group.Go(func() { s.feed.run(inside) })
	group.Go(func() { s.bulletin.run(inside) })
	group.Go(func() { ended <- server.Serve(limited) })

	var err error
	select {
	case err = <-ended:
		close(s.ending)
	case <-ctx.Done():
		close(s.ending)
		limited.Close()
		unused.close()
		err = shutdown(inside, server)
	}
	server.Close()
	stop()
	group.Wait()
	s.main.close()
	return err
}

func (s *Server) server(address net.Addr) *http.Server {
	return &http.Server{
		Handler:           s.handler(hostOf(address)),
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       requestTime,
		WriteTimeout:      requestTime + answerTime + writeTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ConnContext:       withConn,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// shutdown waits for the requests under way, but not for ever.
func shutdown(ctx context.Context, server *http.Server) error {
	ctx, cancel := context.WithTimeout(ctx, shutdownTime)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// routes is everything there is. What only reads is GET; what changes something is POST and needs a token.
func (s *Server) routes() *http.ServeMux {
	m := http.NewServeMux()
	m.Handle("GET /{$}", s.plain(s.page))
	m.Handle("GET /static/{name}", s.plain(s.static))
	m.Handle("GET /healthz", s.plain(s.health))
	m.Handle("GET /metrics", s.metricsHandler())

	m.Handle("GET /text/devices", s.text("devices", printDevices))
	m.Handle("GET /text/status", s.text("", printStatus))
	m.Handle("GET /text/tasks", s.text("tasks", printTasks))
	m.Handle("GET /text/logs", s.text("events", printEvents))
	m.Handle("GET /text/metrics", s.plain(s.textMetrics))

	m.Handle("GET /api/v1/devices", s.json(s.listDevices))
	m.Handle("GET /api/v1/devices/{id}", s.json(s.showDevice))
	m.Handle("GET /api/v1/cluster/status", s.json(s.showStatus))
	m.Handle("GET /api/v1/tasks", s.json(s.listTasks))
	m.Handle("GET /api/v1/tasks/{id}", s.json(s.showTask))
	m.Handle("GET /api/v1/tasks/{id}/result", s.json(s.showResult))
	m.Handle("POST /api/v1/tasks", s.json(s.submit))
	m.Handle("POST /api/v1/tasks/{id}/cancel", s.json(s.cancel))
	m.Handle("POST /api/v1/tasks/{id}/retry", s.json(s.retry))

	m.Handle("GET /stream/devices", s.stream(s.streamDevices))
	m.Handle("GET /stream/logs", s.stream(s.streamLogs))
	return m
}
