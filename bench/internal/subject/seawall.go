//go:build linux

package subject

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const tenant = "bench"

// Seawall is one data directory with one tenant, one API and some clients. It is used as its users use it: by
// its commands and over HTTP.
type Seawall struct {
	Issuer        string
	TokenEndpoint string
	Pin           string
	API           Credential // at introspection and at the distrust feed
	Clients       []Credential

	program, data, logs string
	listen              string // stays the same: an issuer's name holds it
}

// NewSeawall names a data directory that does not exist yet and chooses a free port for it.
func NewSeawall(program, data, logs string) (*Seawall, error) {
	listen, err := FreeAddress()
	return &Seawall{program: program, data: data, logs: logs, listen: listen}, err
}

// NewNamedSeawall is [NewSeawall] with a name for a host: browsers bind passkeys to names only.
func NewNamedSeawall(program, data, logs string) (*Seawall, error) {
	s, err := NewSeawall(program, data, logs)
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(s.listen)
	s.listen = net.JoinHostPort("localhost", port)
	return s, err
}

// FreeAddress is an address of loopback on which nobody listens at the moment.
func FreeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// Start runs `seawall up` and waits until it is ready.
func (s *Seawall) Start(ctx context.Context) (*Server, error) {
	return Start(ctx, "seawall", s.logs, s.program, "up", "--data", s.data, "--listen", s.listen)
}

// Provision creates the tenant, the API and the first client on a running server.
func (s *Seawall) Provision(ctx context.Context) error {
	var created struct {
		Issuer        string `json:"issuer"`
		TokenEndpoint string `json:"token_endpoint"`
	}
	if err := s.command(ctx, &created, "tenant", "create", tenant, "--class", "production", "--owner", "ops@bench.example",
		"--contact", "a@bench.example", "--contact", "b@bench.example"); err != nil {
		return err
	}
	var api struct {
		Pin    string `json:"pin"`
		ID     string `json:"api_id"`
		Secret string `json:"api_secret"`
	}
	if err := s.command(ctx, &api, "api", "create", Audience, "--tenant", tenant, "--scope", "read"); err != nil {
		return err
	}
	if created.Issuer == "" || created.TokenEndpoint == "" || api.Pin == "" || api.ID == "" || api.Secret == "" {
		return errors.New("seawall's answers lack the issuer, the token_endpoint, the pin or the API's credentials")
	}
	s.Issuer, s.TokenEndpoint, s.Pin, s.API = created.Issuer, created.TokenEndpoint, api.Pin, Credential{api.ID, api.Secret}
	return s.AddClients(ctx, 1)
}

// AddClients creates more clients.
func (s *Seawall) AddClients(ctx context.Context, n int) error {
	for range n {
		var client struct {
			ID     string `json:"client_id"`
			Secret string `json:"client_secret"`
		}
		name := fmt.Sprintf("bench-%02d", len(s.Clients)+1)
		if err := s.command(ctx, &client, "client", "create", name, "--tenant", tenant,
			"--grant", "client_credentials", "--api", Audience, "--scope", "read"); err != nil {
			return err
		}
		if client.ID == "" || client.Secret == "" {
			return errors.New("seawall's answer lacks the client_id or the client_secret")
		}
		s.Clients = append(s.Clients, Credential{client.ID, client.Secret})
	}
	return nil
}

// Database is where a seawall that stands still has its database.
func (s *Seawall) Database() string { return filepath.Join(s.data, "house", "seawall.db") }

// Tenant is the id of the one tenant.
func (s *Seawall) Tenant() string { return tenant }

// FirstToken gets a token and tells how long it took since the server's first process was started.
func (s *Seawall) FirstToken(ctx context.Context, server *Server) (time.Duration, error) {
	_, err := Token(ctx, s.TokenEndpoint, s.Clients[0])
	return time.Since(server.Started), err
}

// Recorded is what the ledger holds, as `seawall log verify --json` counts it.
type Recorded struct {
	Entries uint64  // of every kind
	Tokens  uint64  // entries that stand for a token
	Batches *uint64 // each one fdatasync; nil if seawall does not say
}

// Recorded verifies the log and counts it.
func (s *Seawall) Recorded(ctx context.Context) (Recorded, error) {
	var counted struct{ Entries, Tokens, Batches *uint64 }
	if err := s.command(ctx, &counted, "log", "verify"); err != nil {
		return Recorded{}, err
	}
	if counted.Entries == nil || counted.Tokens == nil {
		return Recorded{}, errors.New(`the answer of "seawall log verify --json" lacks entries or tokens`)
	}
	return Recorded{*counted.Entries, *counted.Tokens, counted.Batches}, nil
}

// command runs a subcommand of seawall with --json and reads its answer, which may hold a secret and is
// therefore never quoted.
func (s *Seawall) command(ctx context.Context, answer any, args ...string) error {
	name := strings.Join(args[:2], " ")
	cmd := exec.CommandContext(ctx, s.program, append(args, "--data", s.data, "--json")...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("seawall %s: %w: %s", name, err, strings.TrimSpace(stderr.String()))
	}
	if err := json.Unmarshal(stdout.Bytes(), answer); err != nil {
		return fmt.Errorf("seawall %s --json did not answer with one JSON object: %w", name, err)
	}
	return nil
}
