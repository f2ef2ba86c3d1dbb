package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"seawall/internal/authorize"
	"seawall/internal/mint"
	"seawall/internal/secret"
	"seawall/internal/server/adminapi"
	"seawall/internal/tenant"
)

// TestHints: an ID token that a client sends along counts if one of the tenant's keys for ID tokens has signed it, however
// old it is, and nothing else does.
func TestHints(t *testing.T) {
	mine := &tenant.Tenant{ID: "acme", Issuer: "https://id.example/acme", Algorithm: tenant.ES256}
	key, other := signingKey(t, "k1"), signingKey(t, "k1")
	claims := map[string]any{"iss": mine.Issuer, "sub": "ada", "aud": "shop", "exp": time.Now().Add(-time.Hour).Unix()}
	with := func(name string, value any) map[string]any {
		changed := map[string]any{}
		for k, v := range claims {
			changed[k] = v
		}
		changed[name] = value
		return changed
	}
	for name, c := range map[string]struct {
		raw    string
		change func(*mint.Key)
		ours   bool
	}{
		"expired":              {raw: signed(t, key, "JWT", claims), ours: true},
		"retired key":          {raw: signed(t, key, "JWT", claims), change: func(k *mint.Key) { k.RetiredAt = 1 }, ours: true},
		"another key":          {raw: signed(t, other, "JWT", claims)},
		"unknown key":          {raw: signed(t, signingKey(t, "k2"), "JWT", claims)},
		"an access token":      {raw: signed(t, key, "at+jwt", claims)},
		"a key for access":     {raw: signed(t, key, "JWT", claims), change: func(k *mint.Key) { k.Family = mint.FamilyAccess }},
		"a revoked key":        {raw: signed(t, key, "JWT", claims), change: func(k *mint.Key) { k.RevokedAt = 1 }},
		"a suspended key":      {raw: signed(t, key, "JWT", claims), change: func(k *mint.Key) { k.SuspendedAt = 1 }},
		"another issuer's key": {raw: signed(t, key, "JWT", claims), change: func(k *mint.Key) { k.Issuer = "https://id.example/globex" }},
		"another issuer":       {raw: signed(t, key, "JWT", with("iss", "https://id.example/globex"))},
		"two audiences":        {raw: signed(t, key, "JWT", with("aud", []string{"shop", "spa"}))},
		"nobody":               {raw: signed(t, key, "JWT", with("sub", ""))},
		"unsigned":             {raw: "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ."},
		"no token":             {raw: "ada"},
	} {
		jwk := map[string]string{}
		text, err := key.Public().MarshalJSON()
		if err == nil {
			err = json.Unmarshal(text, &jwk)
		}
		if err != nil {
			t.Fatal(err)
		}
		known := mint.Key{Tenant: "acme", Issuer: mine.Issuer, KID: "k1", Family: mint.FamilyID, Alg: "ES256", JWK: map[string]string{"kty": jwk["kty"], "crv": jwk["crv"], "x": jwk["x"], "y": jwk["y"]}}
		if c.change != nil {
			c.change(&known)
		}
		s := &Server{keys: &keys{}}
		s.keys.state.Store(&keyState{byTenant: map[string][]mint.Key{"acme": {known}}})
		hint, ours := s.readHint(t.Context(), mine, secret.New(c.raw))
		if ours != c.ours || ours && (hint.Subject != "ada" || hint.Client != "shop") {
			t.Errorf("%s: %+v, %v", name, hint, ours)
		}
	}
}

func signingKey(t *testing.T, kid string) jose.JSONWebKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: key, KeyID: kid, Algorithm: "ES256"}
}

func signed(t *testing.T, key jose.JSONWebKey, typ string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestWhatIsRegisteredNow: the endpoint goes by memory, and a change counts at once.
func TestWhatIsRegisteredNow(t *testing.T) {
	h := newHouse(t, options{})
	h.acme()
	q := url.Values{"client_id": {"shop"}, "redirect_uri": {"https://shop.example/cb"}, "response_type": {"token"}}
	asks := func(name string, status int, leads string) {
		t.Helper()
		for range 2 { // the second time from memory
			if r := h.do("GET", "/acme/authorize?"+q.Encode(), ""); r.status != status || !strings.HasPrefix(r.header.Get("Location"), leads) {
				t.Errorf("%s: %d %s", name, r.status, r.header.Get("Location"))
			}
		}
	}
	asks("before", 400, "")
	shop, err := h.op.CreateClient(t.Context(), "acme", adminapi.CreateClient{ClientID: "shop", Type: "web", RedirectURIs: []string{"https://shop.example/cb"}})
	must(t, shop, err)
	asks("registered", 303, "https://shop.example/cb?error=unsupported_response_type")
	shop, err = h.op.SetRedirects(t.Context(), "acme", "shop", adminapi.SetRedirects{RedirectURIs: &[]string{"https://shop.example/new"}})
	must(t, shop, err)
	asks("moved", 400, "")
	q.Set("redirect_uri", "https://shop.example/new")
	asks("moved with it", 303, "https://shop.example/new?error=")
	shop, err = h.op.DisableClient(t.Context(), "acme", "shop")
	must(t, shop, err)
	asks("disabled", 400, "")
}

func TestEveryActOfAnAuthorizationIsAKindOfEntry(t *testing.T) {
	w := newTown(t)
	details := map[authorize.ActKind]map[string]string{
		authorize.ConsentGiven: {"session": "x", "scope": "y"}, authorize.CodeIssued: {"session": "x", "acr": "y", "scope": "z"},
	}
	for _, kind := range authorize.ActKinds() {
		act := authorize.Act{Kind: kind, Tenant: "acme", Person: w.ada.ID, Client: "spa", Audience: []string{ordersAPI}, Detail: details[kind]}
		if err := w.recordAgreements(t.Context(), act); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
