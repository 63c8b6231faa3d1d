// Package web owns a cluster's HTTP side: pages, the text API, the JSON API, server-sent events and metrics, all over a client.
// It is for rc-web; its API may change in any release. Begin with New and Serve.
package web

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/retire-cluster/retire-cluster/lib/client"
)

// Options say what a Server serves, and to whom. On a loopback address the users of this host read without a login; beyond, nobody does.
type Options struct {
	// Find says where the main node is and with which token to read. It is asked again when the main node cannot be reached
	// there, as it may have come back at another address.
	Find func() (client.Options, error)
	Log  *slog.Logger

	Certificate *Certificate   // to speak TLS with; nil: plain HTTP
	Hosts       []string       // names by which it may be asked for, beside those of this host
	Proxies     []netip.Prefix // who is believed in what they say for whom they ask
	PublicRead  bool           // reading needs no login, wherever it comes from
}

// Server serves one cluster to browsers and scripts.
type Server struct {
	options  Options
	log      *slog.Logger
	place    place
	main     *mainNode
	visitors *visitors
	feed     *feed
	bulletin *bulletin
	reels    reels
	history  *history
	ending   chan struct{} // closed when the streams have to end

	reader      *readerToken  // for lines of those who may read
	lines       *lines        // that run
	streams     chan struct{} // holds a value for each stream that is open
	listeners   *crowd        // of streams
	wrongCodes  *tries
	wrongTokens *tries
}

// The limits of what strangers can take.
const (
	maxConnections     = 128 // beside those that became streams
	maxConnectionsFrom = 16  // one address
	maxStreams         = 256
	maxStreamsFrom     = 32
	maxHeader          = 16 << 10
	maxBody            = 1 << 20

	mostWrongCodes  = 5 // and then one in
	wrongCodeEvery  = 10 * time.Second
	mostWrongTokens = 64 // beside those that are being looked at
	wrongTokenEvery = time.Second

	headerTime   = 5 * time.Second  // and for TLS
	requestTime  = 15 * time.Second // to send a whole request
	idleTime     = 60 * time.Second
	writeTime    = 30 * time.Second // to take a piece of the answer
	answerTime   = 10 * time.Second // of the main node
	shutdownTime = 5 * time.Second
)

// New makes a Server. It connects to the main node when it has something to ask.
func New(o Options) *Server {
	s := &Server{
		options:     o,
		log:         o.Log,
		main:        &mainNode{find: o.Find},
		ending:      make(chan struct{}),
		streams:     make(chan struct{}, maxStreams),
		wrongCodes:  newTries(mostWrongCodes, wrongCodeEvery),
		wrongTokens: newTries(mostWrongTokens, wrongTokenEvery),
	}
	s.listeners = newCrowd(maxStreamsFrom, s.isProxy)
	s.visitors = newVisitors(s.main)
	s.reader, s.lines = &readerToken{main: s.main}, &lines{each: map[string]int{}}
	s.feed = newFeed(s.look)
	s.bulletin = newBulletin(s.main, s.feed.hear)
	s.reels.byTask = map[string]*reel{}
	s.history = newHistory()
	s.history.look = func(ctx context.Context) error {
		_, _, err := s.look(ctx)
		return err
	}
	return s
}

// Serve answers on l until ctx ends; then it ends the streams, waits for the other requests and returns nil. It may be
// called once, and closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	s.place = newPlace(l.Addr(), s.options.Hosts)
	limited, unused := newLimitListener(l, maxConnections, newCrowd(maxConnectionsFrom, s.isProxy)), new(unusedConns)
	server := s.server()
	server.ConnState = unused.note
	inside, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	var group sync.WaitGroup
	group.Go(func() { s.feed.run(inside) })
	group.Go(func() { s.bulletin.run(inside) })
	group.Go(func() { s.history.run(inside) })
	if c := s.options.Certificate; c != nil {
		server.TLSConfig = c.config()
		group.Go(func() { c.keep(inside) })
		group.Go(func() { ended <- server.ServeTLS(limited, "", "") })
	} else {
		group.Go(func() { ended <- server.Serve(limited) })
	}

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
	s.visitors.close()
	s.main.close()
	return err
}

func (s *Server) server() *http.Server {
	one := new(http.Protocols) // of one connection is one stream: what is limited, and ended, is a connection
	one.SetHTTP1(true)
	return &http.Server{
		Handler:           s.handler(),
		Protocols:         one,
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

// route is something that can be asked for.
type route struct {
	pattern string
	wants   access
	handler http.Handler
}

// routes is everything there is. What only reads is GET; what changes something is POST and wants a token.
func (s *Server) routes() []route {
	return []route{
		{"GET /healthz", byAnybody, s.plain(s.health)},
		{"GET /login", byAnybody, s.plain(s.loginPage)},
		{"POST /login", byAnybody, s.plain(s.login)},
		{"GET /static/login.js", byAnybody, s.plain(s.loginStatic)},
		{"GET /static/page.css", byAnybody, s.plain(s.loginStatic)},
		{"GET /static/theme.js", byAnybody, s.plain(s.loginStatic)},
		{"POST /logout", byToken, s.plain(s.logout)},

		{"GET /{$}", byReader, s.plain(s.terminalPage)},
		{"GET /static/{name}", byReader, s.plain(s.static)},
		{"GET /metrics", byReader, s.plain(s.metrics)},

		{"GET /devices", byReader, s.view("devices", "/devices", s.devicesView)},
		{"GET /devices/{id}", byReader, s.view("device", "/devices", s.deviceView)},
		{"GET /tasks", byReader, s.view("tasks", "/tasks", s.tasksView)},
		{"GET /tasks/{id}", byReader, s.view("task", "/tasks", s.taskView)},
		{"GET /logs", byReader, s.view("logs", "/logs", s.logsView)},
		{"GET /charts", byReader, s.view("charts", "/charts", s.chartsView)},
		{"GET /join", byReader, s.view("join", "/join", s.joinView)},
		{"GET /help", byReader, s.plain(s.help)},
		{"POST /devices/{id}/drain", byToken, s.form(s.drainForm)},
		{"POST /devices/{id}/undrain", byToken, s.form(s.undrainForm)},
		{"POST /devices/{id}/approve", byToken, s.form(s.approveForm)},
		{"POST /devices/{id}/remove", byToken, s.form(s.removeForm)},
		{"POST /tasks/{id}/cancel", byToken, s.form(s.cancelForm)},
		{"POST /tasks/{id}/retry", byToken, s.form(s.retryForm)},
		{"POST /join", byToken, s.plain(s.invite)},

		{"GET /text/devices", byReader, s.text("devices", printDevices)},
		{"GET /text/status", byReader, s.text("status", printStatus)},
		{"GET /text/tasks", byReader, s.text("tasks", printTasks)},
		{"GET /text/logs", byReader, s.text("events", printEvents)},
		{"GET /text/events", byReader, s.text("events", printEvents)},
		{"GET /text/tasks/{id}/output", byReader, s.plain(s.textOutput)},
		{"GET /text/metrics", byReader, s.plain(s.textMetrics)},

		{"GET /api/v1/devices", byReader, s.json(s.listDevices)},
		{"GET /api/v1/devices/summary", byReader, s.json(s.summarize)},
		{"GET /api/v1/devices/{id}", byReader, s.json(s.showDevice)},
		{"GET /api/v1/devices/{id}/status", byReader, s.json(s.showDeviceStatus)},
		{"POST /api/v1/devices/{id}/ping", byToken, s.json(s.pingDevice)},
		{"POST /api/v1/devices/{id}/drain", byToken, s.json(s.drainDevice)},
		{"POST /api/v1/devices/{id}/undrain", byToken, s.actOnDevice((*client.Client).Undrain)},
		{"POST /api/v1/devices/{id}/approve", byToken, s.actOnDevice((*client.Client).Approve)},
		{"POST /api/v1/devices/{id}/wake", byToken, s.actOnDevice((*client.Client).Wake)},
		{"DELETE /api/v1/devices/{id}", byToken, s.actOnDevice((*client.Client).Remove)},
		{"GET /api/v1/cluster/status", byReader, s.json(s.showStatus)},
		{"GET /api/v1/cluster/health", byReader, s.json(s.showHealth)},
		{"GET /api/v1/cluster/metrics", byReader, s.json(s.showMetrics)},
		{"GET /api/v1/cluster/configuration", byReader, s.json(s.showConfiguration)},
		{"GET /api/v1/tasks", byReader, s.json(s.listTasks)},
		{"GET /api/v1/tasks/statistics", byReader, s.json(s.showStatistics)},
		{"GET /api/v1/tasks/types", byReader, s.json(s.listTypes)},
		{"GET /api/v1/tasks/{id}", byReader, s.json(s.showTask)},
		{"GET /api/v1/tasks/{id}/status", byReader, s.json(s.showTaskStatus)},
		{"GET /api/v1/tasks/{id}/result", byReader, s.json(s.showResult)},
		{"GET /static/vendor/{name}", byReader, s.plain(s.vendor)},
		{"GET /api/v1/complete", byReader, s.json(s.complete)},
		{"POST /api/v1/command", byReader, s.plain(s.command)},
		{"POST /api/v1/terminal", byReader, s.plain(s.terminal)},
		{"GET /api/v1/tasks/{id}/output", byReader, s.plain(s.rawOutput)},
		{"GET /api/v1/tasks/{id}/file", byReader, s.plain(s.download)},
		{"POST /api/v1/tasks", byToken, s.json(s.submit)},
		{"POST /api/v1/tasks/batch", byToken, s.json(s.submitBatch)},
		{"POST /api/v1/tasks/{id}/cancel", byToken, s.json(s.cancel)},
		{"POST /api/v1/tasks/{id}/retry", byToken, s.json(s.retry)},
		{"GET /api/v1/events", byReader, s.json(s.listEvents)},
		{"GET /api/v1/tokens", byToken, s.json(s.listTokens)},
		{"POST /api/v1/tokens", byToken, s.json(s.makeToken)},
		{"DELETE /api/v1/tokens/{id}", byToken, s.json(s.revokeToken)},
		{"POST /api/v1/invites", byToken, s.json(s.makeInvite)},
		{"GET /api/v1/openapi.json", byReader, s.plain(s.showDescription)},
		{"GET /api", byReader, s.plain(s.showAPI)},

		{"GET /stream/devices", byReader, s.stream(s.streamDevices)},
		{"GET /stream/logs", byReader, s.stream(s.streamLogs)},
		{"GET /stream/tasks", byReader, s.stream(s.streamTasks)},
		{"GET /stream/tasks/{id}/output", byReader, s.stream(s.streamOutput)},
		{"GET /stream/all", byReader, s.stream(s.streamAll)},
	}
}

func (s *Server) mux() *http.ServeMux {
	m := http.NewServeMux()
	for _, r := range s.routes() {
		m.Handle(r.pattern, s.guard(r.wants, r.handler))
	}
	return m
}
