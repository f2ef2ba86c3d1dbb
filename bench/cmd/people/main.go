// People puts people with passkeys, signed in, into the database of a seawall that stands still: an owner among the
// operators, and some in a tenant, of whom one is signed in. It prints those two as JSON.
package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"seawall/bench/internal/passkey"
	"seawall/internal/secret"
	"seawall/internal/store"
	"seawall/internal/tenant"
)

// Somebody is a person with what their browser and their authenticator hold.
type Somebody struct {
	Tenant, Session string
	Passkey         *passkey.Passkey
}

// made is who is signed in.
type made struct{ Owner, Person Somebody }

func main() {
	path, tenantID, n := flag.String("db", "", "the database `file`"), flag.String("tenant", "", "the `tenant`"), flag.Int("people", 10, "how many people it gets")
	flag.Parse()
	all, err := people(context.Background(), *path, *tenantID, *n)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(all)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func people(ctx context.Context, path, tenantID string, n int) (all made, err error) {
	db, err := store.Open(ctx, path, store.Options{})
	if err != nil {
		return all, err
	}
	defer db.Close()
	for i := range n {
		if all.Person, err = signedIn(ctx, db, tenant.Person{Tenant: tenantID, Login: fmt.Sprintf("person-%02d@bench.example", i), Name: fmt.Sprintf("Person %d", i)}); err != nil {
			return all, err
		}
	}
	all.Owner, err = signedIn(ctx, db, tenant.Person{Tenant: tenant.Operators, Login: "owner@bench.example", Name: "Ada Lovelace", Role: tenant.Owner})
	return all, err
}

// signedIn makes a person with a passkey, and a browser in which they are signed in.
func signedIn(ctx context.Context, db *store.Store, p tenant.Person) (Somebody, error) {
	now := time.Now()
	p.CreatedAt = now
	p, err := db.CreatePerson(ctx, p)
	if err != nil {
		return Somebody{}, err
	}
	key, err := passkey.New(p.Handle[:])
	if err != nil {
		return Somebody{}, err
	}
	cose, err := key.COSE()
	if err != nil {
		return Somebody{}, err
	}
	k, err := db.AddPasskey(ctx, tenant.Passkey{Tenant: p.Tenant, Person: p.ID, ID: key.ID, Name: "laptop", Key: cose, Flags: 0x05, Count: key.Count, CreatedAt: now})
	if err != nil {
		return Somebody{}, err
	}
	key.Count++ // it was used for this sign-in
	k.Count = key.Count
	var value [32]byte
	_, _ = rand.Read(value[:]) // never fails
	cookie := base64.RawURLEncoding.EncodeToString(value[:])
	return Somebody{p.Tenant, cookie, key}, db.SignIn(ctx, tenant.Session{ID: rand.Text(), Hash: secret.New(cookie).Hash(), Tenant: p.Tenant, Person: p.ID, Passkey: k.ID,
		ACR: "phr", AMR: []string{"mfa", "pop", "user"}, Device: "Firefox on Linux", Place: "127.0.0.1", At: now, SeenAt: now}, k, secret.Hash{})
}
