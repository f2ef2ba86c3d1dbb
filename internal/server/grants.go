package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"seawall/internal/durable"
	"seawall/internal/grant"
	"seawall/internal/mint"
	"seawall/internal/oauth"
	"seawall/internal/tenant"
	"seawall/validate"
)

// Grants keeps what people have agreed to. Each method is one whole act.
type Grants interface {
	grant.Codes
	grant.Families
	// AnyFamily reports whether any refresh token was ever given out.
	AnyFamily(ctx context.Context) (bool, error)
	RevokeFamily(ctx context.Context, tenantID, id, actor string) error
	SuspendFamily(ctx context.Context, tenantID, person, id string, why tenant.Suspicion) (f tenant.Family, suspended bool, err error)
}

// pepperFile has the secret of the house that refresh tokens are made with, see [grant.Pepper].
const pepperFile = "pepper"

// loadPepper reads the pepper, and makes it at the first start. A house that has given out refresh tokens and has no pepper
// does not start: it would answer every one of them with an error upon which clients throw them away.
func loadPepper(ctx context.Context, dir string, store Grants) (*grant.Pepper, error) {
	path := filepath.Join(dir, pepperFile)
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makePepper(ctx, path, store); err != nil {
			return nil, err
		}
		info, err = os.Lstat(path)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("the pepper of refresh tokens: %w", err)
	case !info.Mode().IsRegular() || info.Size() != grant.PepperSize:
		return nil, tenant.Refuse(tenant.ErrConflict, "restore it from its own backup", "%s is not a file of %d bytes", path, grant.PepperSize)
	case info.Mode().Perm()&0o077 != 0:
		return nil, tenant.Refuse(tenant.ErrConflict, "find out who changed it, run chmod 600 on it, and consider the database's backups readable if others have both",
			"%s is open to other users (mode %04o)", path, info.Mode().Perm())
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the pepper of refresh tokens: %w", err)
	}
	defer clear(raw)
	return grant.NewPepper(raw)
}

func makePepper(ctx context.Context, path string, store Grants) error {
	used, err := store.AnyFamily(ctx)
	if err != nil {
		return err
	}
	if used {
		return tenant.Refuse(tenant.ErrConflict, "restore it from its own backup; if it is lost, make a new one (head -c 32 /dev/urandom > "+path+"; chmod 600 "+path+") and everybody signs in to their applications again",
			"refresh tokens were given out, and the pepper that they were made with is not at %s", path)
	}
	raw := make([]byte, grant.PepperSize)
	defer clear(raw)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the process instead
	return durable.Replace(path, raw, 0o600)
}

// Bounds of proofs of possession at our own endpoints. A nonce is good for one to two of its periods, and no longer than the
// process lives: so a proof that was used before a restart is not good after it, although what was used is forgotten.
const (
	proofAge    = time.Minute
	noncePeriod = time.Minute
	maxProofs   = 1 << 20 // 11,000 a second; some 80 MB when full
)

// proofs checks proofs of possession at the token endpoint, for [grant.Proofs].
type proofs struct{ *validate.Proofs }

func newProofs(now func() time.Time) (proofs, error) {
	nonces, err := validate.RotatingNonces(nil, noncePeriod)
	if err != nil {
		return proofs{}, err
	}
	p, err := validate.NewProofs(validate.DPoP{MaxAge: proofAge, Nonces: nonces, Replays: validate.NewReplays(maxProofs)}, now)
	return proofs{p}, err
}

// Check is for [grant.Proofs].
func (p proofs) Check(t *tenant.Tenant, headers []string) (grant.Proof, error) {
	found, err := p.Proofs.Check(validate.Presentation{Method: "POST", URL: t.Issuer + pathToken, Proofs: headers})
	if err != nil {
		return nil, badProof(err)
	}
	return proof{found}, nil
}

// proof is for [grant.Proof].
type proof struct{ *validate.Proof }

// Thumbprint is for [grant.Proof].
func (p proof) Thumbprint() string { return p.Proof.Thumbprint().String() }

// Use is for [grant.Proof].
func (p proof) Use(ctx context.Context) error {
	if err := p.Proof.Use(ctx); err != nil {
		return badProof(err)
	}
	return nil
}

// badProof is what is wrong with a proof, for the client (RFC 9449 §5, §8).
func badProof(err error) error {
	refusal := (*validate.Error)(nil)
	switch {
	case !errors.As(err, &refusal):
		return err
	case refusal.Code == validate.CodeDPoPNonce:
		return oauth.Errorf(oauth.UseDPoPNonce, "The proof needs the nonce in the DPoP-Nonce header of this answer.")
	case refusal.Code == validate.CodeDPoPFull:
		return oauth.TooManyRequests(proofAge)
	}
	return oauth.Errorf(oauth.InvalidDPoPProof, "The proof is not good: %s.", refusal.Code.Reason())
}

// grantEntry is what the ledger has of something that happens to what people have agreed to.
func grantEntry(kind mint.EntryKind, tenantID, person, client, actor string, detail map[string]string) *mint.Entry {
	e := &mint.Entry{Kind: kind, Tenant: tenantID, Subject: person, Client: client, Actor: actor}
	for name, value := range detail {
		e.Detail = append(e.Detail, mint.Field{Name: name, Value: short(value)})
	}
	return e
}
