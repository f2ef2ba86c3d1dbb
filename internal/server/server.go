package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"seawall/internal/authorize"
	"seawall/internal/console"
	"seawall/internal/grant"
	"seawall/internal/login"
	"seawall/internal/mint"
	"seawall/internal/server/adminapi"
	"seawall/internal/token"
	"seawall/validate"
)

// Store is what the server keeps things in. The parts say what each method promises.
type Store interface {
	Registry
	TenantActs
	ClientActs
	ClientKinds
	Outbox
	Debts
	Owing
	People
	Links
	Glass
	Alarms
	authorize.Agreements
	Grants
}

// Config is what a Server is made of. Fields without a default are needed.
type Config struct {
	// Dir is the house's own directory. The ledger's root, the keys for when the vaults are away, the base URL and the
	// pepper of refresh tokens are kept there.
	Dir string
	// Base is the base URL, without a slash at the end: a tenant's issuer is Base/id.
	Base string
	// Store keeps tenants, APIs, clients and people.
	Store Store
	// Signer and Ledger give connections to the vaults.
	Signer, Ledger mint.Dial
	// Head remembers the ledger's head. The server does not close it.
	Head *mint.HeadFile
	// TLS is how clients are spoken to; nil: plain HTTP, for a loopback address or behind a proxy.
	TLS *tls.Config
	// Operators are the user ids that may use the admin API, besides root.
	Operators []int
	// Version and Level (the walls around this process, measured) are for the status.
	Version, Level string
	// Metadata tells certified authenticators; nil: none are.
	Metadata *login.Metadata
	// FailuresPerMinute is how many authentications from one address may fail at one tenant; 0: 50.
	FailuresPerMinute int
	// MaxConnections bounds open connections of clients, listeners of distrust feeds included; 0: 4096. More wait in the
	// kernel's queue.
	MaxConnections int
	Log            *slog.Logger
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Server is the house. Make one with [New].
type Server struct {
	config      Config
	now         func() time.Time
	log         *slog.Logger
	prefix      string // path of the base URL
	host        string // name in the base URL
	assets      string // path of the pages' styles and scripts
	hsts        []string
	directory   *directory
	vaults      *vaults
	keys        *keys
	policies    *policies
	debts       *debts
	feeds       *feeds
	failures    *failures
	limit       *grant.FailureLimit
	tokens      *grant.Handler
	people      *login.Door
	authorize   *authorize.Endpoint
	console     *console.Console
	api         http.Handler     // the admin API
	adminProofs validate.Replays // proofs that were used there
	infoProofs  validate.Replays // proofs that were used at userinfo, of all tenants
	started     time.Time
	acts        sync.Mutex // writes of the admin API, one at a time
	loops       sync.WaitGroup
}

// New makes a server and connects it to the vaults until ctx ends. It fails when what the house remembers is damaged or
// speaks of another base URL.
func New(ctx context.Context, c Config) (*Server, error) {
	base, err := url.Parse(c.Base)
	if err != nil {
		return nil, fmt.Errorf("the base URL is not a URL: %w", err)
	}
	s := &Server{config: c, now: c.Now, log: c.Log, prefix: base.Path, host: base.Hostname(), assets: base.Path + login.AssetsPath}
	if s.now == nil {
		s.now = time.Now
	}
	if base.Scheme == "https" {
		s.hsts = []string{"max-age=31536000"}
	}
	if c.FailuresPerMinute == 0 {
		c.FailuresPerMinute = 50
	}
	s.started, s.api = s.now(), s.adminHandler()
	s.adminProofs, s.infoProofs = validate.NewReplays(0), validate.NewReplays(maxProofs)
	s.vaults = newVaults(ctx, c.Signer, c.Ledger, c.Head, c.Log, s.now)
	if s.keys, err = newKeys(c.Dir, s.vaults.signer.Keys, &s.vaults.root, c.Log); err != nil {
		return nil, err
	}
	if err := s.settleBase(ctx); err != nil {
		return nil, err
	}
	if s.feeds, err = newFeeds(c.Dir, s.vaults, c.Log, s.now); err != nil {
		return nil, err
	}
	s.directory = newDirectory(c.Store, c.Store, c.Store, c.Store)
	s.policies = newPolicies(c.Store, s.vaults.ask, c.Log)
	s.debts = s.newDebts()
	s.failures = &failures{record: s.vaults.record, log: c.Log}
	s.limit = grant.NewFailureLimit(c.FailuresPerMinute)
	pepper, err := loadPepper(ctx, c.Dir, c.Store)
	if err != nil {
		return nil, err
	}
	proofs, err := newProofs(s.now)
	if err != nil {
		return nil, err
	}
	s.tokens = grant.NewHandler(grant.Config{
		Registry: s.directory, Issuer: token.NewIssuer(s.vaults.signer, s.now), Failures: s.limit,
		OnFailure: func(tenant, client string) { s.failures.note(failing{tenant: tenant, client: client}) },
		Codes:     c.Store, Families: c.Store, Pepper: pepper, Proofs: proofs, Settle: s.debts.round,
		Log: c.Log, Now: s.now,
	})
	if s.people, err = s.newDoor(); err != nil {
		return nil, fmt.Errorf("the pages for people: %w", err)
	}
	if s.authorize, err = s.newAuthorize(); err != nil {
		return nil, fmt.Errorf("the pages for applications: %w", err)
	}
	if s.console, err = s.newConsole(); err != nil {
		return nil, fmt.Errorf("the console: %w", err)
	}
	return s, nil
}

// Start sets the loops going; they end with ctx. [Server.Wait] waits for them.
func (s *Server) Start(ctx context.Context) {
	for _, loop := range []func(context.Context){s.vaults.watch, s.vaults.listen, s.keys.follow, s.policies.carry, s.debts.carry, s.failures.tell, s.recordBase, s.feeds.keep, s.feeds.watch} {
		s.loops.Go(func() { loop(ctx) })
	}
}

// Wait returns when the loops have ended and the last failures are recorded.
func (s *Server) Wait(ctx context.Context) {
	s.loops.Wait()
	s.failures.flush(ctx)
}

// Limits of a connection.
const (
	maxHeader      = 16 << 10
	readTime       = 10 * time.Second // for header and body together
	writeTime      = 30 * time.Second
	idleTime       = 60 * time.Second
	drainTime      = 10 * time.Second
	maxConnections = 4096
)

// Serve answers clients on public and operators on admin until ctx ends, then takes no new connections, finishes what
// was begun within 10 s, and returns. It closes both listeners.
func (s *Server) Serve(ctx context.Context, public, admin net.Listener) error {
	most := s.config.MaxConnections
	if most == 0 {
		most = maxConnections
	}
	front := s.httpServer(s)
	front.RegisterOnShutdown(sync.OnceFunc(func() { close(s.feeds.closing) }))
	back := s.httpServer(s.api)
	back.ConnContext = withPeer
	ended := make(chan error, 2)
	go func() { ended <- serveFront(front, limitListener(public, most), s.config.TLS) }()
	go func() { ended <- back.Serve(limitListener(admin, 64)) }()
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-ended:
	}
	// What was begun is finished although ctx has ended: a token that is recorded should reach its client.
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	err := errors.Join(front.Shutdown(drain), back.Shutdown(drain))
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.Join(front.Close(), back.Close())
		s.log.Warn("connections that did not end in time were closed")
	}
	return errors.Join(failed, err)
}

// serveFront speaks TLS inside of the limit, so that a handshake needs a place too.
func serveFront(front *http.Server, l net.Listener, config *tls.Config) error {
	if config == nil {
		return front.Serve(l)
	}
	front.TLSConfig = config
	return front.ServeTLS(l, "", "")
}

func (s *Server) httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, MaxHeaderBytes: maxHeader, ReadTimeout: readTime, WriteTimeout: writeTime,
		IdleTimeout: idleTime, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// Ready waits until the house truly serves: both vaults answer, and nothing contradicts what it remembers.
func (s *Server) Ready(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if len(s.away()) == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the vaults: %w", context.Cause(ctx))
		}
	}
}

// away lists what keeps the house from serving.
func (s *Server) away() []adminapi.Absence {
	list := s.vaults.away()
	if reason := s.keys.trouble(); reason != "" {
		list = append(list, adminapi.Absence{Part: partRoot, Reason: reason})
	}
	return list
}

// inBase cuts the path of the base URL off a request's path.
func (s *Server) inBase(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, s.prefix)
	return rest, ok && strings.HasPrefix(rest, "/")
}
