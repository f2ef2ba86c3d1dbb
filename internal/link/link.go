// Package link joins seawall processes that are not children of one supervisor: the house, the signer and the ledger on
// machines of their own, or as services of one machine.
//
// A link has two ends, and each knows the other beforehand. Over TCP both show a certificate, and each accepts exactly
// the one whose fingerprint it was given: TLS 1.3, no certificate authority, no names and no dates to get wrong. Replacing
// a certificate means telling the other side first. Over a Unix socket the kernel says which user is at the other end, and
// exactly one is accepted.
//
// A connection that comes out of [Listener.Accept] or of a dial function has passed that check. What is said on it is for
// others to decide; packages mint, signer and ledger never see a stranger.
package link

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// handshakeTime is how long the two ends may take to recognise one another.
const handshakeTime = 5 * time.Second

// End describes one end of a link. It is part of configuration files.
type End struct {
	// Address is tcp:HOST:PORT or unix:/PATH: where to listen, or what to dial.
	Address string `json:"address"`
	// Certificate and Key are PEM files with this side's own certificate and private key; the key file must be closed to
	// other users. Required for tcp, refused for unix.
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`
	// Peer is the fingerprint of the other side's certificate: sha256: and 64 hex digits, as Fingerprint prints it.
	// Required for tcp, refused for unix.
	Peer string `json:"peer,omitempty"`
	// PeerUID is the user id of the other side's process. Required for unix, refused for tcp.
	PeerUID *int `json:"peer_uid,omitempty"`
}

// Check finds what is missing or contradictory in e, without looking at any file.
func (e *End) Check() error {
	network, address := e.network()
	switch network {
	case "tcp":
		if _, _, err := net.SplitHostPort(address); err != nil {
			return fmt.Errorf("link: address %q: %w", e.Address, err)
		}
		if e.Certificate == "" || e.Key == "" || e.Peer == "" {
			return fmt.Errorf("link %s: needs certificate, key and peer: without them anybody could be at the other end", e.Address)
		}
		if e.PeerUID != nil {
			return fmt.Errorf("link %s: peer_uid is for unix sockets; the other end of tcp is known by its certificate", e.Address)
		}
		_, err := parseFingerprint(e.Peer)
		return err
	case "unix":
		if !filepath.IsAbs(address) || filepath.Clean(address) != address {
			return fmt.Errorf("link %s: the path must be absolute and clean", e.Address)
		}
		if e.PeerUID == nil || *e.PeerUID < 0 {
			return fmt.Errorf("link %s: needs peer_uid, the user id of the process at the other end", e.Address)
		}
		if e.Certificate != "" || e.Key != "" || e.Peer != "" {
			return fmt.Errorf("link %s: certificates are for tcp; the other end of a unix socket is known by its user id", e.Address)
		}
		return nil
	}
	return fmt.Errorf("link: address %q is neither tcp:HOST:PORT nor unix:/PATH", e.Address)
}

func (e *End) network() (network, address string) {
	network, address, _ = strings.Cut(e.Address, ":")
	return network, address
}

// Files lists the files that e needs to read.
func (e *End) Files() []string {
	if e.Certificate == "" {
		return nil
	}
	return []string{e.Certificate, e.Key}
}

// Dialer reads the files of e and returns a function that connects, once per call, and has recognised the other side when
// it returns.
func Dialer(e End) (func(context.Context) (net.Conn, error), error) {
	guard, err := newGuard(e)
	if err != nil {
		return nil, err
	}
	network, address := e.network()
	return func(ctx context.Context) (net.Conn, error) {
		ctx, stop := context.WithTimeout(ctx, handshakeTime)
		defer stop()
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, fmt.Errorf("link %s: %w", e.Address, err)
		}
		return guard.recognise(ctx, conn, false)
	}, nil
}

// guard recognises the other side of a connection.
type guard struct {
	end    End
	config *tls.Config // for tcp
}

func newGuard(e End) (*guard, error) {
	if err := e.Check(); err != nil {
		return nil, err
	}
	g := &guard{end: e}
	if e.PeerUID != nil {
		return g, nil
	}
	own, err := loadIdentity(e.Certificate, e.Key)
	if err != nil {
		return nil, err
	}
	want, err := parseFingerprint(e.Peer)
	if err != nil {
		return nil, err
	}
	g.config = &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{own},
		ClientAuth:   tls.RequireAnyClientCert,
		// The check below replaces the usual one, which would ask a certificate authority and a name.
		InsecureSkipVerify:     true,
		SessionTicketsDisabled: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 || sha256.Sum256(s.PeerCertificates[0].Raw) != want {
				return errors.New("the certificate at the other end is not the pinned one")
			}
			return nil
		},
	}
	return g, nil
}

// recognise returns conn, encrypted if over tcp, when the other side is who it should be; otherwise it closes it.
func (g *guard) recognise(ctx context.Context, conn net.Conn, server bool) (net.Conn, error) {
	if g.config == nil {
		uid, err := peerUID(conn)
		if err == nil && uid != *g.end.PeerUID {
			err = fmt.Errorf("the process at the other end is of user %d, not %d", uid, *g.end.PeerUID)
		}
		if err != nil {
			conn.Close()
			return nil, fmt.Errorf("link %s: %w", g.end.Address, err)
		}
		return conn, nil
	}
	secured := tls.Client(conn, g.config)
	if server {
		secured = tls.Server(conn, g.config)
	}
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("link %s: %w", g.end.Address, err)
	}
	return secured, nil
}

// loadIdentity reads a certificate and its key.
func loadIdentity(certificate, key string) (tls.Certificate, error) {
	info, err := os.Stat(key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("link: the private key: %w", err)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return tls.Certificate{}, fmt.Errorf("link: the private key is open to other users (mode %04o): run chmod %o %s, and make a new one if somebody else may have read it",
			perm, perm&^0o077, key)
	}
	c, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return c, fmt.Errorf("link: certificate %s and key %s: %w", certificate, key, err)
	}
	return c, nil
}

const fingerprintPrefix = "sha256:"

// parseFingerprint reads what Fingerprint prints, and the form with colons and capitals that openssl prints.
func parseFingerprint(text string) (sum [32]byte, err error) {
	digits := strings.ReplaceAll(strings.TrimPrefix(text, fingerprintPrefix), ":", "")
	if b, err := hex.DecodeString(digits); err == nil && len(b) == len(sum) {
		return [32]byte(b), nil
	}
	return sum, fmt.Errorf("link: peer %q is no fingerprint: it must be %s and 64 hex digits", text, fingerprintPrefix)
}

// Fingerprint returns the fingerprint of the certificate in a PEM file: what the other side's configuration needs.
func Fingerprint(certificate string) (string, error) {
	text, err := os.ReadFile(certificate)
	if err != nil {
		return "", fmt.Errorf("link: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return "", fmt.Errorf("link: %s does not begin with a certificate", certificate)
	}
	return fingerprint(block.Bytes), nil
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return fingerprintPrefix + hex.EncodeToString(sum[:])
}
