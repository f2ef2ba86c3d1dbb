package grant

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"seawall/internal/oauth"
	"seawall/internal/tenant"
)

// signers are a client's private keys, by kid.
type signers map[string]crypto.Signer

func newSigners(t testing.TB) signers {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, ec, err)
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, rs, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	must(t, ed, err)
	return signers{"ec": ec, "rsa": rs, "ed": ed}
}

func (s signers) set(t testing.TB) tenant.KeySet {
	var set jose.JSONWebKeySet
	for kid, k := range s {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.Public(), KeyID: kid, Use: "sig"})
	}
	doc, err := json.Marshal(set)
	keys, err2 := tenant.ParseKeySet(must(t, doc, err))
	return must(t, keys, err2)
}

type claims map[string]any

func honest(now time.Time) claims {
	return claims{"iss": "job", "sub": "job", "aud": issuer, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Unix() + 60}
}

func (c claims) with(pairs ...any) claims {
	c = maps.Clone(c)
	for i := 0; i+1 < len(pairs); i += 2 {
		if c[pairs[i].(string)] = pairs[i+1]; pairs[i+1] == nil {
			delete(c, pairs[i].(string))
		}
	}
	return c
}

func sign(t testing.TB, alg jose.SignatureAlgorithm, key any, payload []byte, header ...any) string {
	opts := &jose.SignerOptions{ExtraHeaders: map[jose.HeaderKey]any{}}
	for i := 0; i+1 < len(header); i += 2 {
		opts.ExtraHeaders[jose.HeaderKey(header[i].(string))] = header[i+1]
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opts)
	must(t, signer, err)
	jws, err := signer.Sign(payload)
	must(t, jws, err)
	raw, err := jws.CompactSerialize()
	return must(t, raw, err)
}

func (s signers) assertion(t testing.TB, c claims) string {
	payload, err := json.Marshal(c)
	return sign(t, jose.ES256, s["ec"], must(t, payload, err), "kid", "ec", "typ", "JWT")
}

func withAssertion(raw string, more ...string) string {
	return cc + "&client_assertion_type=" + url.QueryEscape(oauth.ClientAssertionType) + "&client_assertion=" + url.QueryEscape(raw) + strings.Join(more, "")
}

func TestPrivateKeyJWT(t *testing.T) {
	h, keys := newHouse(t), newSigners(t)
	h.client(tenant.Client{ID: "job", Auth: oauth.PrivateKeyJWT, Keys: keys.set(t)})
	payload := func(c claims) []byte { b, err := json.Marshal(c); return must(t, b, err) }
	good := map[string]string{
		"ES256":            keys.assertion(t, honest(noon)),
		"RS256":            sign(t, jose.RS256, keys["rsa"], payload(honest(noon)), "kid", "rsa"),
		"PS256":            sign(t, jose.PS256, keys["rsa"], payload(honest(noon)), "kid", "rsa"),
		"EdDSA":            sign(t, jose.EdDSA, keys["ed"], payload(honest(noon)), "kid", "ed"),
		"new typ":          sign(t, jose.ES256, keys["ec"], payload(honest(noon)), "kid", "ec", "typ", "client-authentication+jwt"),
		"list of one":      keys.assertion(t, honest(noon).with("aud", []string{issuer})),
		"no iat":           keys.assertion(t, honest(noon).with("iat", nil)),
		"fractions":        keys.assertion(t, honest(noon).with("iat", float64(noon.Unix())+0.5, "exp", float64(noon.Unix())+60.25)),
		"ten minutes":      keys.assertion(t, honest(noon).with("exp", noon.Unix()+600)),
		"clock a bit fast": keys.assertion(t, honest(noon.Add(25*time.Second))),
		"clock a bit slow": keys.assertion(t, honest(noon.Add(-80*time.Second))),
	}
	for name, raw := range good {
		if a := h.do(request(withAssertion(raw))); a.status != 200 {
			t.Errorf("%s: %d %s", name, a.status, a.ErrorDescription)
		}
	}
	if a := h.do(request(withAssertion(keys.assertion(t, honest(noon)), "&client_id=job"))); a.status != 200 {
		t.Errorf("with client_id: %d %s", a.status, a.ErrorDescription)
	}
	if q := h.minted[0]; q.ClientID != "job" || q.Evidence == h.minted[1].Evidence {
		t.Error("the evidence does not tell one assertion from another")
	}
}

func TestPrivateKeyJWTRefusals(t *testing.T) {
	h, keys, others := newHouse(t), newSigners(t), newSigners(t)
	h.client(tenant.Client{ID: "job", Auth: oauth.PrivateKeyJWT, Keys: keys.set(t)})
	h.client(tenant.Client{ID: "peer", Auth: oauth.PrivateKeyJWT, Keys: others.set(t)})
	secretly := h.client(tenant.Client{ID: "ci"})
	payload := func(c claims) []byte { b, err := json.Marshal(c); return must(t, b, err) }
	p := payload(honest(noon))
	raw := func(s string) []byte { return []byte(s) }
	fine := keys.assertion(t, honest(noon))
	part := strings.Split(fine, ".")
	b64 := base64.RawURLEncoding.EncodeToString
	cases := []struct {
		name, raw, want string
	}{
		{"another's key", others.assertion(t, honest(noon)), "authentication failed"},
		{"unknown kid", sign(t, jose.ES256, keys["ec"], p, "kid", "x"), "authentication failed"},
		{"no kid with several keys", sign(t, jose.ES256, keys["ec"], p), "authentication failed"},
		{"kid of another key", sign(t, jose.ES256, keys["ec"], p, "kid", "rsa"), "authentication failed"},
		{"key in the header", sign(t, jose.ES256, others["ec"], p, "kid", "ec", "jwk", jose.JSONWebKey{Key: others["ec"].Public()}), "authentication failed"},
		{"unknown client", keys.assertion(t, honest(noon).with("iss", "x", "sub", "x")), "authentication failed"},
		{"a client with a secret", keys.assertion(t, honest(noon).with("iss", "ci", "sub", "ci")), "authentication failed"},
		{"spoilt signature", fine[:len(fine)-22] + strings.Repeat("A", 22), "authentication failed"},
		{"payload swapped", part[0] + "." + b64(payload(honest(noon).with("exp", noon.Unix()+61))) + "." + part[2], "authentication failed"},
		{"HMAC with a public key", sign(t, jose.HS256, []byte(strings.Repeat("k", 32)), p, "kid", "ec"), "its alg is none of"},
		{"none", b64(raw(`{"alg":"none"}`)) + "." + b64(p) + ".", "its alg is none of"},
		{"crit", sign(t, jose.ES256, keys["ec"], p, "kid", "ec", "crit", []string{"x"}, "x", 1), "compact JWS"},
		{"b64", sign(t, jose.ES256, keys["ec"], p, "kid", "ec", "b64", true), "compact JWS"},
		{"access token", sign(t, jose.ES256, keys["ec"], p, "kid", "ec", "typ", "at+jwt"), "its typ is neither"},
		{"typ is a number", sign(t, jose.ES256, keys["ec"], p, "kid", "ec", "typ", 1), "its typ is neither"},
		{"iss differs", keys.assertion(t, honest(noon).with("iss", "peer")), "iss and sub must both"},
		{"no sub", keys.assertion(t, honest(noon).with("sub", nil)), "iss and sub must both"},
		{"aud is the token endpoint", keys.assertion(t, honest(noon).with("aud", issuer+"/token")), "aud must be the issuer"},
		{"aud with a slash", keys.assertion(t, honest(noon).with("aud", issuer+"/")), "aud must be the issuer"},
		{"two audiences", keys.assertion(t, honest(noon).with("aud", []string{issuer, "https://other.example"})), "aud must be the issuer"},
		{"empty aud", keys.assertion(t, honest(noon).with("aud", []string{})), "aud must be the issuer"},
		{"no aud", keys.assertion(t, honest(noon).with("aud", nil)), "aud must be the issuer"},
		{"aud is an object", keys.assertion(t, honest(noon).with("aud", map[string]int{issuer: 1})), "compact JWS"},
		{"no exp", keys.assertion(t, honest(noon).with("exp", nil)), "exp is required"},
		{"expired", keys.assertion(t, honest(noon).with("exp", noon.Unix()-30)), "exp is required"},
		{"too long", keys.assertion(t, honest(noon).with("exp", noon.Unix()+631)), "exp is required"},
		{"endless", keys.assertion(t, honest(noon).with("exp", 1e300)), "exp is required"},
		{"exp is a string", keys.assertion(t, honest(noon).with("exp", "1790000060")), "compact JWS"},
		{"not yet", keys.assertion(t, honest(noon).with("nbf", noon.Unix()+31)), "lies in the future"},
		{"iat ahead", keys.assertion(t, honest(noon).with("iat", noon.Unix()+31)), "lies in the future"},
		{"iat negative", keys.assertion(t, honest(noon).with("iat", -1)), "lies in the future"},
		{"no jti", keys.assertion(t, honest(noon).with("jti", nil)), "jti is required"},
		{"long jti", keys.assertion(t, honest(noon).with("jti", strings.Repeat("j", 257))), "jti is required"},
		{"jti with a control character", keys.assertion(t, honest(noon).with("jti", "a\nb")), "jti is required"},
		{"claim twice", sign(t, jose.ES256, keys["ec"], raw(`{"iss":"job","sub":"job","sub":"peer"}`), "kid", "ec"), "compact JWS"},
		{"no JSON", sign(t, jose.ES256, keys["ec"], raw(`hello`), "kid", "ec"), "compact JWS"},
		{"two parts", part[0] + "." + part[1], "compact JWS"},
		{"JSON form", `{"payload":"` + part[1] + `","protected":"` + part[0] + `","signature":"` + part[2] + `"}`, "compact JWS"},
		{"huge", strings.Repeat("a", maxAssertion+1), "compact JWS"},
	}
	h.failures = nil
	for i, c := range cases {
		h.now = noon // a limit of its own for each
		h.Handler.config.Failures = NewFailureLimit(50)
		h.do(request(withAssertion(c.raw))).wants(t, c.name, 401, oauth.InvalidClient, c.want)
		if len(h.minted) > 0 {
			t.Fatalf("%s (%d): a token was asked for", c.name, i)
		}
	}
	for name, body := range map[string]string{
		"no type":    cc + "&client_assertion=" + fine,
		"other type": cc + "&client_assertion=" + fine + "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Asaml2-bearer",
		"type alone": cc + "&client_assertion_type=" + url.QueryEscape(oauth.ClientAssertionType),
	} {
		h.do(request(body)).wants(t, name, 400, oauth.InvalidRequest, "come together")
	}
	h.do(request(withAssertion(fine, "&client_id=peer"))).wants(t, "client_id differs", 400, oauth.InvalidRequest, "not the client that authenticates")
	h.do(request(withAssertion(fine), basic("ci", secretly)...)).wants(t, "with Basic", 400, oauth.InvalidRequest, "more than one way")
	if a := h.do(request(withAssertion(fine))); a.status != 200 {
		t.Errorf("after all that the honest one fails: %d %s", a.status, a.ErrorDescription)
	}
	h.do(request(withAssertion(fine))).wants(t, "used before", 401, oauth.InvalidClient, "used before")
}

func TestOneKeyNeedsNoKid(t *testing.T) {
	h, keys := newHouse(t), newSigners(t)
	h.client(tenant.Client{ID: "job", Auth: oauth.PrivateKeyJWT, Keys: signers{"": keys["ec"]}.set(t)})
	payload, err := json.Marshal(honest(noon))
	must(t, payload, err)
	if a := h.do(request(withAssertion(sign(t, jose.ES256, keys["ec"], payload)))); a.status != 200 {
		t.Errorf("no kid on either side: %d %s", a.status, a.ErrorDescription)
	}
}

// TestAssertionsAreUsedOnce races the same assertion against itself.
func TestAssertionsAreUsedOnce(t *testing.T) {
	h, keys := newHouse(t), newSigners(t)
	h.client(tenant.Client{ID: "job", Auth: oauth.PrivateKeyJWT, Keys: keys.set(t)})
	cached, err := h.Client(t.Context(), "acme", "job")
	h.cached["job"] = must(t, cached, err)
	raw := keys.assertion(t, honest(noon))
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for range 16 {
		wg.Go(func() {
			form, err := ParseForm(withAssertion(raw), "")
			must(t, form, err)
			offered, err := readCredential(nil, form)
			must(t, offered, err)
			_, _, err = h.authenticate(t.Context(), request(""), h.tenant, offered, noon)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d of 16 identical assertions were accepted", won)
	}
}

// TestReplayMemoryOutlastsAssertions holds the two bounds together: nothing is accepted after it is forgotten.
func TestReplayMemoryOutlastsAssertions(t *testing.T) {
	for exp := noon.Add(-time.Minute); exp.Before(noon.Add(20 * time.Minute)); exp = exp.Add(time.Second) {
		e := unixTime(exp.Unix())
		a := &assertion{claims: assertionClaims{Issuer: "job", Subject: "job", Audience: audience{issuer}, Expires: &e, JTI: "j"}}
		if a.check("job", issuer, noon) != nil {
			continue
		}
		if a.check("job", issuer, noon.Add(replayMemory)) == nil {
			t.Fatalf("an assertion that expires in %v is accepted again when its jti is forgotten", exp.Sub(noon))
		}
	}
}

func FuzzReadAssertion(f *testing.F) {
	keys := newSigners(f)
	for _, raw := range []string{"", "..", "e30.e30.AA", `{"payload":""}`, keys.assertion(f, honest(noon)), keys.assertion(f, honest(noon).with("aud", []string{issuer}))} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		a, err := readAssertion(raw)
		if err != nil {
			return
		}
		_ = a.check("job", issuer, noon)
		if a.verified(nil) {
			t.Fatal("verified without a key")
		}
	})
}
