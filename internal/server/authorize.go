package server

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/go-jose/go-jose/v4"

	"seawall/internal/authorize"
	"seawall/internal/grant"
	"seawall/internal/mint"
	"seawall/internal/secret"
	"seawall/internal/tenant"
)

// requestsPerMinute is how many authorization requests from one address may be kept at one tenant: an office opens its
// applications behind one address in the morning.
const requestsPerMinute = 1200

// newAuthorize makes the part of the house that applications send people to.
func (s *Server) newAuthorize() (*authorize.Endpoint, error) {
	return authorize.New(authorize.Config{
		Base: s.config.Base, Store: lately{s.config.Store, s.directory}, Door: s.people, Record: s.recordAgreements, Hint: s.readHint,
		Limit: grant.NewFailureLimit(requestsPerMinute), Log: s.log, Now: s.now,
	})
}

// lately is the store with clients and APIs from memory, as far as they were asked for since something changed.
type lately struct {
	Store
	directory *directory
}

// Client is for [authorize.Registry].
func (l lately) Client(ctx context.Context, tenantID, id string) (tenant.Client, error) {
	c, fresh := l.directory.Cached(tenantID, id)
	if c == nil || !fresh {
		var err error
		if c, err = l.directory.Client(ctx, tenantID, id); err != nil {
			return tenant.Client{}, err
		}
	}
	if c == nil {
		return tenant.Client{}, tenant.Refuse(tenant.ErrNotFound, "", "there is no such client")
	}
	return c.Registered(), nil
}

// APIs is for [authorize.Registry].
func (l lately) APIs(ctx context.Context, tenantID string) ([]tenant.API, error) {
	r, err := l.directory.tenant(ctx, tenantID)
	if err != nil || r == nil {
		return nil, err
	}
	return r.apis, nil
}

// recordAgreements writes into the ledger what people agree to. The names of an endpoint's acts are those of entries.
func (s *Server) recordAgreements(ctx context.Context, acts ...authorize.Act) error {
	var entries []*mint.Entry
	for _, a := range acts {
		e := &mint.Entry{Kind: mint.EntryKind(a.Kind), Tenant: a.Tenant, Subject: a.Person, Client: a.Client, Audience: a.Audience, Actor: "person:" + a.Person}
		for name, value := range a.Detail {
			if value != "" {
				e.Detail = append(e.Detail, mint.Field{Name: name, Value: short(value)})
			}
		}
		entries = append(entries, e)
	}
	return s.vaults.record(ctx, entries...)
}

func (s *Server) serveAuthorize(w http.ResponseWriter, r *http.Request, t *resident) {
	_, rest := s.split(r.URL.Path)
	s.authorize.Serve(w, r, &t.tenant, rest)
}

// readHint reads an ID token that a client sends along. Its signature and issuer are checked; its end is not, because it
// tells who is meant and gives nothing. A key that is not trusted vouches for nobody.
func (s *Server) readHint(_ context.Context, t *tenant.Tenant, raw secret.Text) (h authorize.Hint, ours bool) {
	jws, err := jose.ParseSignedCompact(raw.Reveal(), []jose.SignatureAlgorithm{jose.SignatureAlgorithm(t.Algorithm)})
	if err != nil || jws.Signatures[0].Protected.ExtraHeaders["typ"] != string(mint.IDToken) {
		return h, false
	}
	for _, k := range s.keys.now().of(t.ID, t.Issuer) {
		if k.KID != jws.Signatures[0].Protected.KeyID || k.Family != mint.FamilyID || k.SuspendedAt != 0 || k.RevokedAt != 0 {
			continue
		}
		if payload, err := verifyJWS(jws, &k); err == nil {
			var claims struct {
				Issuer   string `json:"iss"`
				Subject  string `json:"sub"`
				Audience string `json:"aud"`
			}
			if json.Unmarshal(payload, &claims) == nil && claims.Issuer == t.Issuer && claims.Subject != "" && claims.Audience != "" {
				return authorize.Hint{Subject: claims.Subject, Client: claims.Audience}, true
			}
		}
	}
	return h, false
}

// verifyJWS returns the payload that a key of ours has signed.
func verifyJWS(jws *jose.JSONWebSignature, k *mint.Key) ([]byte, error) {
	text, err := json.Marshal(k.JWK)
	if err != nil {
		return nil, err
	}
	var key jose.JSONWebKey
	if err := key.UnmarshalJSON(text); err != nil {
		return nil, err
	}
	return jws.Verify(key)
}
