package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"seawall/internal/fence"
	"seawall/internal/link"
	"seawall/internal/login"
	"seawall/internal/mint"
	"seawall/internal/process"
	"seawall/internal/server"
	"seawall/internal/server/adminapi"
	"seawall/internal/store"
	"seawall/internal/supervise"
)

// serveConfig is the file that `seawall serve --config` names: a house on a machine of its own. Paths are relative to
// the file.
type serveConfig struct {
	// Directory is the house's own directory, mode 0700: its database, its memory of keys and head, the admin socket
	// (run/admin.sock).
	Directory string `json:"directory"`
	// Listen is the address to serve HTTP on. Default localhost:8420.
	Listen string `json:"listen,omitempty"`
	// Base is the base URL: tenants are found beneath it. Default: follows listen, on loopback.
	Base string `json:"base,omitempty"`
	// TLSCert and TLSKey are PEM files of the certificate to serve HTTPS with. Default: plain HTTP, which needs loopback
	// or a proxy. They are read at the start.
	TLSCert string `json:"tls_cert,omitempty"`
	TLSKey  string `json:"tls_key,omitempty"`
	// FIDOMetadata is the FIDO Metadata Service's document, by which certified security keys are told; FIDOMetadataRoot is
	// the PEM certificate that it is signed under. Default: none, and the FIDO Alliance's. They are read at the start.
	FIDOMetadata     string `json:"fido_metadata,omitempty"`
	FIDOMetadataRoot string `json:"fido_metadata_root,omitempty"`
	// Signer and Ledger say how to reach the vaults. Over TCP, by IP address: behind its walls the house looks no names
	// up, and has no Unix sockets but the one it made.
	Signer link.End `json:"signer"`
	Ledger link.End `json:"ledger"`
	// UID is the user id to change to when started as root. Default 61801.
	UID int `json:"uid,omitempty"`
	// Operators are user ids that may use the admin socket, besides root and whoever starts the house. Default: none.
	Operators []int `json:"operators,omitempty"`
	// FailuresPerMinute is how many authentications from one address may fail at one tenant. Default 50.
	FailuresPerMinute int `json:"failures_per_minute,omitempty"`
	// MaxConnections bounds open connections of clients, listeners of distrust feeds included; more wait. Default 4096.
	MaxConnections int `json:"max_connections,omitempty"`
}

// house is a house about to be: what it was told, and what it opened before it gave up its rights.
type house struct {
	serveConfig
	supervised bool
	forbidden  []string
	file       string // the configuration file, absolute: the second image of the process reads it again

	level         *fence.Level
	public, admin net.Listener
	tls           *tls.Config
	metadata      *login.Metadata
	starter       int // user id of whoever started it
	signer        mint.Dial
	ledger        mint.Dial
}

// runServe is the house process. Its exit status is that of a command, or [supervise.ExitRefused] when a supervisor should
// not try again.
func runServe(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &call{name: "serve", args: args, in: stdin, out: stdout, err: stderr}
	h, err := readServe(c)
	if err != nil {
		return finish(stderr, err)
	}
	if h.supervised {
		return h.runSupervised(ctx, c)
	}
	return finish(stderr, advised(h.runAlone(ctx, c)))
}

// readServe understands the flags, and the configuration file if there is one.
func readServe(c *call) (*house, error) {
	f := newFlags(c, "--config FILE",
		"Runs the house alone, with signer and ledger on machines of their own. `seawall up` runs all three together and needs\nno configuration.")
	h := new(house)
	config := f.String("config", "", "JSON `FILE` that says where everything is")
	f.BoolVar(&h.supervised, "supervised", false, "run as the child of a supervisor, which gives this flag and those below")
	f.StringVar(&h.Listen, "listen", "", "`HOST:PORT` to serve on")
	f.StringVar(&h.Base, "base", "", "`URL` beneath which tenants are found")
	f.StringVar(&h.TLSCert, "tls-cert", "", "PEM `FILE` of the certificate")
	f.StringVar(&h.TLSKey, "tls-key", "", "PEM `FILE` of its private key")
	f.StringVar(&h.FIDOMetadata, "fido-metadata", "", "`FILE` with the FIDO metadata")
	f.StringVar(&h.FIDOMetadataRoot, "fido-metadata-root", "", "PEM `FILE` of the certificate it is signed under")
	forbidden := f.list("forbidden", "`DIR` that must be out of reach; may be repeated")
	if _, err := f.parse(); err != nil {
		return nil, err
	}
	h.forbidden = *forbidden
	switch {
	case h.supervised && *config != "":
		return nil, usage("serve: --supervised and --config exclude each other")
	case h.supervised:
		h.UID = fence.HouseUID
		return h, nil
	case *config == "":
		return nil, usage("serve: --config is missing", "seawall up runs everything together and needs none")
	}
	if err := readConfig(*config, &h.serveConfig); err != nil {
		return nil, err
	}
	h.file = absolute(*config)
	return h, h.settle(filepath.Dir(h.file))
}

// settle makes paths absolute, fills in defaults and checks what can be checked without touching anything.
func (h *house) settle(beside string) error {
	beside, err := filepath.Abs(beside)
	if err != nil {
		return err
	}
	if h.Directory == "" {
		return usage("configuration: directory is missing")
	}
	for _, path := range []*string{&h.Directory, &h.TLSCert, &h.TLSKey, &h.FIDOMetadata, &h.FIDOMetadataRoot, &h.Signer.Certificate, &h.Signer.Key, &h.Ledger.Certificate, &h.Ledger.Key} {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(beside, *path)
		}
	}
	if (h.TLSCert == "") != (h.TLSKey == "") {
		return usage("configuration: tls_cert and tls_key go together")
	}
	if h.Listen == "" {
		h.Listen = defaultListen
	}
	if h.UID == 0 {
		h.UID = fence.HouseUID
	}
	a, err := resolveAddress(h.Listen, h.Base, "", h.TLSCert != "")
	if err != nil {
		return err
	}
	h.Base = a.base
	for name, end := range map[string]*link.End{"signer": &h.Signer, "ledger": &h.Ledger} {
		if err := end.Check(); err != nil {
			return hint(fmt.Errorf("configuration: %s: %w", name, err), "docs/hosts.md has a complete example")
		}
		address, tcp := strings.CutPrefix(end.Address, "tcp:")
		if _, err := netip.ParseAddrPort(address); !tcp || err != nil {
			return hint(fmt.Errorf("configuration: %s: %s is no tcp:IP:PORT", name, end.Address), "behind its walls the house looks no names up and has no Unix sockets: give an IP address, on one machine 127.0.0.1")
		}
	}
	return nil
}

// runSupervised is the house as a child of `seawall up`.
func (h *house) runSupervised(ctx context.Context, c *call) int {
	if err := h.enter(os.NewFile(supervise.DirFD, "house"), []int{supervise.ControlFD, supervise.DirFD}, nil); err != nil {
		return refuseToRun(c, err)
	}
	member, err := supervise.Join(supervise.ControlFD)
	if err != nil {
		return finish(c.err, err)
	}
	h.signer, h.ledger = member.Link(linkMint), member.Link(linkEntries)
	// Orders come over the control socket; signals are for the supervisor alone.
	serving, stop := member.Serving(context.WithoutCancel(ctx))
	defer stop()
	err = h.run(serving, c, func(first *invitation) error {
		return member.Ready(map[string]any{"level": h.level, "invitation": first})
	})
	if refused := (*refusedStart)(nil); errors.As(err, &refused) {
		_ = member.Refuse(reason(refused.error))
		return supervise.ExitRefused
	}
	return finish(c.err, advised(err))
}

// advised turns the hint of an error, if it has one, into one that is printed.
func advised(err error) error {
	if h := (interface{ Hint() string })(nil); errors.As(err, &h) && h.Hint() != "" {
		return hint(err, h.Hint())
	}
	return err
}

// reason is an error with its hint, for the supervisor to print.
func reason(err error) error {
	if h := (interface{ Hint() string })(nil); errors.As(err, &h) && h.Hint() != "" {
		return fmt.Errorf("%w\nhint: %s", err, h.Hint())
	}
	return err
}

// refuseToRun tells the supervisor why the house does not start, from before it joined.
func refuseToRun(c *call, err error) int {
	member, joinErr := supervise.Join(supervise.ControlFD)
	if joinErr != nil || member.Refuse(reason(err)) != nil {
		finish(c.err, err)
	}
	return supervise.ExitRefused
}

// runAlone is the house on a machine of its own.
func (h *house) runAlone(ctx context.Context, c *call) error {
	dir, err := os.Open(h.Directory)
	if err != nil {
		return hint(fmt.Errorf("the house's directory: %w", err), "make it with `mkdir -m 700 "+h.Directory+"`")
	}
	files := append(append(h.Signer.Files(), h.Ledger.Files()...), h.file)
	dial := func() (err error) {
		if h.signer, err = link.Dialer(h.Signer); err != nil {
			return err
		}
		h.ledger, err = link.Dialer(h.Ledger)
		return err
	}
	if err := h.enter(dir, nil, dial, files...); err != nil {
		return err
	}
	return h.run(ctx, c, func(first *invitation) error {
		if err := forgetInvitation(invitationFile); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.out, "seawall: ready at %s\n  house     %s\n", h.Base, h.level)
		return errors.Join(err, first.tell(c, invitationFile))
	})
}

// enter raises the walls, and opens what is out of reach behind them: the listeners, the certificate, and what also opens.
func (h *house) enter(dir *os.File, keep []int, also func() error, files ...string) (err error) {
	for _, path := range []string{h.TLSCert, h.TLSKey, h.FIDOMetadata, h.FIDOMetadataRoot} {
		if path != "" {
			files = append(files, path)
		}
	}
	h.level, err = fence.Enter(fence.Spec{
		Process: "house", Dir: dir, Keep: keep, ReadOnly: files, Network: true, UID: h.UID, Forbidden: h.forbidden,
		BeforeDrop: func() error {
			h.starter = os.Getuid()
			if err := h.listen(dir); err != nil {
				return err
			}
			if also == nil {
				return nil
			}
			return also()
		},
	})
	return err
}

// listen opens both listeners and reads the certificate.
func (h *house) listen(dir *os.File) (err error) {
	if h.TLSCert != "" {
		if h.tls, err = loadTLS(h.TLSCert, h.TLSKey); err != nil {
			return err
		}
	}
	if h.FIDOMetadata != "" {
		if h.metadata, err = loadMetadata(h.FIDOMetadata, h.FIDOMetadataRoot); err != nil {
			return err
		}
	}
	if h.public, err = net.Listen("tcp", h.Listen); err != nil {
		return fmt.Errorf("listening on %s: %w", h.Listen, err)
	}
	if err := dir.Chdir(); err != nil { // the path of a socket may not be long, so it is a relative one
		return err
	}
	h.admin, err = listenAdmin(adminapi.Socket)
	return err
}

func loadTLS(cert, key string) (*tls.Config, error) {
	info, err := os.Stat(key)
	if err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("TLS: everybody on this machine may use the private key %s: run chmod o= %s", key, key)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}, nil
}

func loadMetadata(path, rootPath string) (*login.Metadata, error) {
	document, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("FIDO metadata: %w", err)
	}
	var root []byte
	if rootPath != "" {
		if root, err = os.ReadFile(rootPath); err != nil {
			return nil, fmt.Errorf("FIDO metadata: %w", err)
		}
	}
	return login.ReadMetadata(document, root)
}

// listenAdmin opens the operators' socket: 0600 in a directory of 0700. A socket that an earlier house left is replaced;
// the lock on the directory makes sure that none is alive.
func listenAdmin(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("the admin socket: %w", err)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("the admin socket: %w", err)
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("the admin socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("the admin socket: %w", err), l.Close())
	}
	return l, nil
}

// refusedStart is an error that a restart does not mend.
type refusedStart struct{ error }

func (e *refusedStart) Unwrap() error { return e.error }

// ballast makes the garbage collector wait for 12 MB more of garbage: it counts as memory in use, and takes none, because
// nobody ever writes to it. A house lives on two or three megabytes, and without it would look for garbage dozens of
// times a second.
func ballast() []byte { return make([]byte, 12<<20) }

// run serves until ctx ends. ready is called once the house truly serves, with the first administrator's link if there is
// to be one.
func (h *house) run(ctx context.Context, c *call, ready func(*invitation) error) (err error) {
	defer runtime.KeepAlive(ballast())
	log := process.Log(c.err, "house")
	st, err := store.Open(ctx, "seawall.db", store.Options{Log: log})
	if err != nil {
		return &refusedStart{err}
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	head, err := mint.OpenHeadFile("head")
	if err != nil {
		return &refusedStart{err}
	}
	defer func() { err = errors.Join(err, head.Close()) }()
	// The links stay open while connections are drained: what was begun needs the vaults.
	linked, unlink := context.WithCancel(context.WithoutCancel(ctx))
	defer unlink()
	s, err := server.New(linked, server.Config{
		Dir: ".", Base: h.Base, Store: st, Signer: h.signer, Ledger: h.ledger, Head: head, TLS: h.tls,
		Operators: append([]int{h.starter}, h.Operators...), Version: version(), Level: h.level.String(),
		FailuresPerMinute: h.FailuresPerMinute, MaxConnections: h.MaxConnections, Metadata: h.metadata, Log: log,
	})
	if err != nil {
		return &refusedStart{err}
	}
	looping, stop := context.WithCancel(linked)
	s.Start(looping)
	serving, ended := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() {
		defer ended()
		served <- s.Serve(serving, h.public, h.admin)
	}()
	if err = s.Ready(serving); err == nil {
		err = ready(invite(serving, s, log))
	}
	if serving.Err() != nil {
		err = nil // it was told to end before it was ready, or could not serve at all
	}
	if err != nil {
		ended()
	}
	err = errors.Join(err, <-served)
	stop()
	last, done := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer done()
	s.Wait(last)
	return err
}

// invite makes the operators' tenant at the first start, and returns the first administrator's link while nobody has used
// one. A failure is no reason not to serve: the same command makes a link later.
func invite(ctx context.Context, s *server.Server, log *slog.Logger) *invitation {
	first, err := s.Found(ctx)
	if err != nil {
		log.ErrorContext(ctx, "the operators' tenant is not ready: restart seawall when the cause is mended", "cause", err)
	}
	if err != nil || first == nil {
		return nil
	}
	return &invitation{Link: first.Link.Reveal(), Expires: first.Expires}
}
