package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"seawall/internal/drill"
	"seawall/internal/keyring"
	"seawall/internal/keystore"
	"seawall/internal/keystore/file"
	"seawall/internal/ledger"
	"seawall/internal/mint"
	"seawall/internal/server"
	"seawall/internal/signer"
)

const (
	drillAudience = "https://mail.drill.invalid"
	drillClient   = "mail-web"
	// drillAge is how long the drill's issuers have been running: long enough for a key of theirs to have expired.
	drillAge = 200 * 24 * time.Hour
)

// rangeGround is the throw-away seawall of a drill: a real signer and a real ledger on a directory of their own. What
// differs from any other is one thing: its keys were made by the drill, which therefore has what a thief would have.
type rangeGround struct {
	dir    string
	log    *slog.Logger
	loot   *loot
	offset time.Duration // of the vaults' clock

	signer *signer.Signer
	ledger *ledger.Ledger
	client *mint.Client
	stop   func() error
}

// loot is the key store of a drill's signer: it makes keys as the file store does, under a key-encryption key of its own,
// and keeps a copy of each. No list of key stores has it and no vault links it.
type loot struct {
	*file.Store
	mu     sync.Mutex
	stolen []crypto.Signer
}

// Generate makes an ES256 key that the attacker has too.
func (l *loot) Generate(alg string) (keystore.Key, error) {
	if alg != "ES256" {
		return nil, keystore.ErrAlgorithm
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stolen = append(l.stolen, private)
	return file.Adopt(private)
}

func (l *loot) take(kid string) (crypto.Signer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.stolen, func(k crypto.Signer) bool {
		id, err := keystore.KID(k.Public())
		return err == nil && id == kid
	})
	if i < 0 {
		return nil, errors.New("the drill does not have the key it means to steal")
	}
	return l.stolen[i], nil
}

// newGround makes the directory and what the vaults expect in it.
func newGround(log *slog.Logger) (*rangeGround, error) {
	dir, err := os.MkdirTemp("", "seawall-drill-")
	if err != nil {
		return nil, fmt.Errorf("making a throw-away data directory: %w", err)
	}
	g := &rangeGround{dir: dir, log: log, offset: -drillAge}
	for _, name := range []string{"signer", "ledger"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			return nil, errors.Join(err, g.remove())
		}
	}
	kek, err := file.Create(filepath.Join(dir, "signer", "kek"))
	if err == nil {
		err = ledger.Create(g.ledgerConfig())
	}
	if err != nil {
		return nil, errors.Join(err, g.remove())
	}
	g.loot = &loot{Store: kek}
	return g, nil
}

func (g *rangeGround) remove() error { return os.RemoveAll(g.dir) }

func (g *rangeGround) now() time.Time { return time.Now().Add(g.offset) }

func (g *rangeGround) ledgerConfig() ledger.Config {
	return ledger.Config{Dir: filepath.Join(g.dir, "ledger"), Log: g.log, Clock: g.now}
}

// drillClock is the vaults' clock; every opening counts as a reboot, so the years may pass in between.
type drillClock struct{ now func() time.Time }

func (c drillClock) Now() time.Time                { return c.now() }
func (c drillClock) Boot() (string, time.Duration) { return rand.Text(), 0 }

// open starts ledger and signer, joined as they are in earnest.
func (g *rangeGround) open(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	g.stop = func() error {
		cancel()
		running.Wait()
		var err error
		if g.signer != nil {
			err = g.signer.Close()
		}
		if g.ledger != nil {
			err = errors.Join(err, g.ledger.Close())
		}
		g.signer, g.ledger = nil, nil
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.stop())
		}
	}()
	if g.ledger, err = ledger.Open(g.ledgerConfig()); err != nil {
		return err
	}
	g.signer, err = signer.Open(signer.Options{
		Dir: filepath.Join(g.dir, "signer"), Store: g.loot, Clock: drillClock{g.now}, Level: "a drill: none", Log: g.log,
		Ledger: join(func(conn net.Conn) { running.Go(func() { g.ledger.Serve(ctx, conn, ledger.Signer) }) }),
	})
	if err != nil {
		return err
	}
	running.Go(func() {
		if err := g.signer.Run(ctx); err != nil {
			g.log.Error("the drill's signer stopped", "error", err)
		}
	})
	g.client = mint.NewClient(ctx, join(func(conn net.Conn) { running.Go(func() { g.signer.Serve(ctx, conn) }) }), nil)
	return nil
}

// join dials by making a pair of connected streams and serving one end.
func join(serve func(net.Conn)) mint.Dial {
	return func(context.Context) (net.Conn, error) {
		ours, theirs := net.Pipe()
		serve(theirs)
		return ours, nil
	}
}

// tenant makes a tenant of the range, with the drill's API and application.
func (g *rangeGround) tenant(ctx context.Context, id, class string) error {
	policy := mint.Policy{Tenant: id, Issuer: drillIssuer(id), Class: class, Version: 1, Algorithm: "ES256",
		Audiences: []mint.Audience{{ID: drillAudience, Scopes: []string{"mail.read"}}}, Clients: []string{drillClient},
		MaxLifetime: 900, RotationDays: 30, Actor: "drill"}
	return patiently(ctx, func() error { return g.client.CallJSON(ctx, mint.MsgPolicy, policy, new(mint.PolicyApplied)) })
}

// patiently tries again while vaults that have just been started find each other.
func patiently(ctx context.Context, do func() error) error {
	for {
		err := do()
		if !errors.Is(err, &mint.Refusal{Code: mint.Unavailable}) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func drillIssuer(id string) string { return "https://login.drill.invalid/" + id }

// active returns a tenant's active key of a family and all it has, once there is one.
func (g *rangeGround) active(ctx context.Context, tenant string, family mint.Family) (key mint.Key, all *mint.Keys, err error) {
	err = patiently(ctx, func() error {
		if all, err = g.client.Keys(ctx, mint.KeysQuery{Tenant: tenant}); err != nil {
			return err
		}
		k, ok := keyring.ActiveKey(slices.DeleteFunc(slices.Clone(all.Keys), func(k mint.Key) bool { return k.Family != family }))
		if !ok || keyring.StateAt(k, g.now()) != keyring.Active {
			return &mint.Refusal{Code: mint.Unavailable, Detail: "no active key yet"}
		}
		key = *k
		return nil
	})
	return key, all, err
}

// published is a key's entry as a key document shows it.
func published(key mint.Key, document mint.Document) ([]byte, error) {
	body, err := server.KeyDocument([]mint.Key{key}, document)
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil || len(set.Keys) != 1 {
		return nil, errors.New("a key document of one key has no key")
	}
	return set.Keys[0], nil
}

func (g *rangeGround) steal(key mint.Key, document mint.Document) (drill.Stolen, error) {
	private, err := g.loot.take(key.KID)
	if err != nil {
		return drill.Stolen{}, err
	}
	jwk, err := published(key, document)
	return drill.Stolen{KID: key.KID, Private: private, JWK: jwk}, err
}

// issuer is what the drill knows of one tenant: the thief's copies of its keys, and the ways to genuine keys and tokens.
func (g *rangeGround) issuer(ctx context.Context, tenant string) (drill.Issuer, error) {
	var stolen [2]drill.Stolen
	for i, family := range []mint.Family{mint.FamilyAccess, mint.FamilyID} {
		key, all, err := g.active(ctx, tenant, family)
		if err != nil {
			return drill.Issuer{}, err
		}
		if stolen[i], err = g.steal(key, all.Ledger); err != nil {
			return drill.Issuer{}, err
		}
	}
	issuer := drillIssuer(tenant)
	return drill.Issuer{URL: issuer, Stolen: stolen[0], StolenID: stolen[1],
		Keys: func(ctx context.Context) ([]byte, error) {
			_, all, err := g.active(ctx, tenant, mint.FamilyAccess)
			if err != nil {
				return nil, err
			}
			return server.KeyDocument(keyring.Published(all.Keys, g.now()), all.Ledger)
		},
		Token: func(ctx context.Context) (string, error) {
			return g.mint(ctx, &mint.Request{Tenant: tenant, Issuer: issuer, Kind: mint.AccessToken,
				Subject: "reader", Audience: []string{drillAudience}, ClientID: "reader", Scope: "mail.read", JTI: mint.NewJTI(), Lifetime: 300})
		},
		IDToken: func(ctx context.Context) (string, error) {
			return g.mint(ctx, &mint.Request{Tenant: tenant, Issuer: issuer, Kind: mint.IDToken, Subject: "clerk", Audience: []string{drillClient},
				JTI: mint.NewJTI(), Lifetime: 300, SignIn: mint.SignIn{AuthTime: g.now().Unix() - 5, ACR: "phr", AMR: []string{"hwk", "user"}}})
		},
	}, nil
}

func (g *rangeGround) mint(ctx context.Context, q *mint.Request) (token string, err error) {
	err = patiently(ctx, func() error {
		raw, err := g.client.Mint(ctx, q)
		token = string(raw)
		return err
	})
	return token, err
}

// prepare runs the issuers through their past and into the present: one key of the enterprise issuer expires on the way.
func (g *rangeGround) prepare(ctx context.Context) (*drill.Range, error) {
	if err := g.open(ctx); err != nil {
		return nil, err
	}
	for _, t := range [][2]string{{"consumer", "production"}, {"enterprise", "production"}} {
		if err := g.tenant(ctx, t[0], t[1]); err != nil {
			return nil, errors.Join(fmt.Errorf("making the drill's tenant %s: %w", t[0], err), g.stop())
		}
	}
	old, all, err := g.active(ctx, "enterprise", mint.FamilyAccess)
	if err != nil {
		return nil, errors.Join(err, g.stop())
	}
	expired, err := g.steal(old, all.Ledger)
	if err = errors.Join(err, g.stop()); err != nil {
		return nil, err
	}
	g.offset = 0
	if err := g.open(ctx); err != nil {
		return nil, err
	}
	r, err := g.present(ctx, expired)
	if err != nil {
		return nil, errors.Join(err, g.stop())
	}
	return r, nil
}

func (g *rangeGround) present(ctx context.Context, expired drill.Stolen) (*drill.Range, error) {
	err := patiently(ctx, func() error {
		return g.client.CallJSON(ctx, mint.MsgClock, mint.ClockAccept{Actor: "drill"}, new(mint.ClockAccepted))
	})
	if err != nil && !errors.Is(err, &mint.Refusal{Code: mint.NotFound}) {
		return nil, fmt.Errorf("bringing the drill's clock to the present: %w", err)
	}
	consumer, err := g.issuer(ctx, "consumer")
	if err != nil {
		return nil, err
	}
	enterprise, err := g.issuer(ctx, "enterprise")
	if err != nil {
		return nil, err
	}
	_, all, err := g.active(ctx, "enterprise", mint.FamilyAccess)
	if err != nil {
		return nil, err
	}
	root, err := base64.RawURLEncoding.DecodeString(all.Ledger.Root)
	if err != nil || len(root) != ed25519.PublicKeySize {
		return nil, errors.New("the drill's ledger has no root")
	}
	return &drill.Range{Pin: mint.Pin(root), Audience: drillAudience, Client: drillClient, Consumer: consumer, Enterprise: enterprise, Expired: expired, Now: g.now}, nil
}
