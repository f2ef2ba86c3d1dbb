// Grow puts a person who has signed in, an application with a credential, and codes for it into the database of a seawall
// that stands still, as its authorization endpoint would one after the other. It prints them as JSON.
package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"sync"
	"time"

	"seawall/internal/oauth"
	"seawall/internal/secret"
	"seawall/internal/store"
	"seawall/internal/tenant"
)

// Grown is what was made.
type Grown struct {
	Client, Secret     string
	Redirect, Verifier string
	Codes              []string
}

func main() {
	path, tenantID, audience := flag.String("db", "", "the database `file`"), flag.String("tenant", "", "the `tenant`"), flag.String("audience", "", "of its `API`")
	n, later := flag.Int("codes", 1, "how many codes"), flag.Duration("for", 3*time.Minute, "how long they are good; they begin a minute before that ends")
	flag.Parse()
	grown, err := grow(context.Background(), *path, *tenantID, *audience, *n, *later)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(grown)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func grow(ctx context.Context, path, tenantID, audience string, n int, good time.Duration) (*Grown, error) {
	db, err := store.Open(ctx, path, store.Options{})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	now, given := time.Now(), secret.Generate(secret.ClientSecret, secret.Production)
	g := &Grown{Client: "app-" + tenant.NewFamilyID().String()[:8], Secret: given.Reveal(), Redirect: "https://app.bench.example/cb", Verifier: rand.Text() + rand.Text()}
	if _, err := db.CreateClient(ctx, "bench", tenant.Client{ID: g.Client, Tenant: tenantID, Type: tenant.Web, RedirectURIs: []string{g.Redirect}, RatePerSecond: tenant.MaxRatePerSecond,
		Secrets: []tenant.Secret{{Hash: given.Hash(), CreatedAt: now}}, APIs: []tenant.Access{{Audience: audience, Scopes: oauth.Scope{"read"}}}, CreatedAt: now}); err != nil {
		return nil, err
	}
	p, err := db.CreatePerson(ctx, tenant.Person{Tenant: tenantID, Login: g.Client + "@bench.example", CreatedAt: now})
	if err != nil {
		return nil, err
	}
	k, err := db.AddPasskey(ctx, tenant.Passkey{Tenant: tenantID, Person: p.ID, ID: []byte(p.ID), Key: []byte("key"), CreatedAt: now})
	if err != nil {
		return nil, err
	}
	session := tenant.Session{ID: rand.Text(), Hash: secret.New(rand.Text()).Hash(), Tenant: tenantID, Person: p.ID, Passkey: k.ID, ACR: "phr", AMR: []string{"swk", "user"}, At: now, SeenAt: now}
	if err := db.SignIn(ctx, session, k, secret.Hash{}); err != nil {
		return nil, err
	}
	agreed := tenant.Consent{Tenant: tenantID, Person: p.ID, Client: g.Client}.With(oauth.Scope{"openid", "read"}, []string{audience})
	if _, err := db.SaveConsent(ctx, agreed); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(g.Verifier))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	g.Codes = make([]string, n)
	errs := make(chan error, n)
	var making sync.WaitGroup
	for worker := range 64 { // that many share a commit
		making.Go(func() {
			for i := worker; i < n; i += 64 {
				code := secret.Generate(secret.GrantCode, secret.Production)
				g.Codes[i] = code.Reveal()
				errs <- db.SaveCode(ctx, tenant.Code{Hash: code.Hash(), Tenant: tenantID, Client: g.Client, Person: p.ID, Session: session.ID, RedirectURI: g.Redirect, Challenge: challenge,
					Nonce: "n", Scope: oauth.Scope{"openid", "read"}, Resources: []string{audience}, SignedInAt: now, ACR: session.ACR, AMR: session.AMR,
					IssuedAt: now.Add(good - tenant.CodeLife)})
			}
		})
	}
	making.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return nil, fmt.Errorf("keeping a code: %w", err)
		}
	}
	return g, nil
}
