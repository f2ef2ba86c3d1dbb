package validate_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"seawall/validate"
	"seawall/validate/internal/forge"
)

const tokenURL = "https://id.example/acme/token"

// signProof makes a proof by a key, with header and claims changed; a nil value leaves one out.
func signProof(k *forge.Key, alg string, header, claims map[string]any) string {
	h := map[string]any{"typ": "dpop+jwt", "alg": alg, "jwk": k.Public()}
	c := map[string]any{"jti": "p", "htm": "POST", "htu": tokenURL, "iat": 1790000000}
	for into, changes := range map[*map[string]any]map[string]any{&h: header, &c: claims} {
		for name, value := range changes {
			if (*into)[name] = value; value == nil {
				delete(*into, name)
			}
		}
	}
	return k.Sign(forge.JSON(h), forge.JSON(c))
}

// A proof without a token is held to everything but a token, and counts once it is used.
func TestProofs(t *testing.T) {
	clock := still()
	nonces, err := validate.RotatingNonces(nil, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	proofs, err := validate.NewProofs(validate.DPoP{MaxAge: time.Minute, Nonces: nonces}, clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	check := func(proof ...string) (*validate.Proof, error) {
		return proofs.Check(validate.Presentation{Method: "POST", URL: tokenURL, Proofs: proof})
	}
	for _, alg := range []string{"ES256", "RS256", "PS256", "EdDSA"} {
		key := forge.NewKey(alg, "client")
		proof, err := check(signProof(key, alg, nil, map[string]any{"nonce": proofs.Nonce()}))
		if err != nil || proof.Thumbprint() != key.Thumbprint() || proof.Thumbprint().String() != thumbprintText(key) {
			t.Fatalf("%s: %v", alg, err)
		}
		if err := proof.Use(t.Context()); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		if err := proof.Use(t.Context()); !errors.Is(err, validate.CodeDPoPReplay) {
			t.Errorf("%s, used twice: %v", alg, err)
		}
	}
	key, other := forge.NewKey("ES256", "client"), forge.NewKey("ES256", "other")
	private := map[string]any{}
	if err := json.Unmarshal(forge.JSON(key.Public()), &private); err != nil {
		t.Fatal(err)
	}
	private["d"] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"
	good := proofs.Nonce()
	one := func(header, claims map[string]any) []string {
		if claims == nil {
			claims = map[string]any{}
		}
		if _, said := claims["nonce"]; !said {
			claims["nonce"] = good
		}
		return []string{signProof(key, "ES256", header, claims)}
	}
	type changed = map[string]any
	for name, c := range map[string]struct {
		proofs []string
		want   validate.Code
	}{
		"none":                {nil, validate.CodeDPoPMissing},
		"empty":               {[]string{""}, validate.CodeDPoPForm},
		"two":                 {append(one(nil, nil), one(nil, nil)...), validate.CodeDPoPMany},
		"an empty one first":  {append([]string{""}, one(nil, nil)...), validate.CodeDPoPMany},
		"another type":        {one(changed{"typ": "JWT"}, nil), validate.CodeDPoPForm},
		"no type":             {one(changed{"typ": nil}, nil), validate.CodeDPoPForm},
		"no key":              {one(changed{"jwk": nil}, nil), validate.CodeDPoPForm},
		"a private key":       {one(changed{"jwk": private}, nil), validate.CodeDPoPKey},
		"a symmetric key":     {one(changed{"jwk": changed{"kty": "oct", "k": "AAAA"}}, nil), validate.CodeDPoPKey},
		"another's key":       {one(changed{"jwk": other.Public()}, nil), validate.CodeDPoPSignature},
		"no algorithm":        {one(changed{"alg": "none"}, nil), validate.CodeDPoPAlg},
		"a MAC":               {one(changed{"alg": "HS256"}, nil), validate.CodeDPoPAlg},
		"another's algorithm": {one(changed{"alg": "EdDSA"}, nil), validate.CodeDPoPKey},
		"critical":            {one(changed{"crit": []string{"x"}}, nil), validate.CodeDPoPForm},
		"another method":      {one(nil, changed{"htm": "GET"}), validate.CodeDPoPMethod},
		"another URL":         {one(nil, changed{"htu": "https://id.example/globex/token"}), validate.CodeDPoPURL},
		"another host":        {one(nil, changed{"htu": "https://evil.example/acme/token"}), validate.CodeDPoPURL},
		"a URL with a query":  {one(nil, changed{"htu": tokenURL + "?a=b"}), validate.CodeDPoPURL},
		"no name":             {one(nil, changed{"jti": nil}), validate.CodeDPoPForm},
		"no time":             {one(nil, changed{"iat": nil}), validate.CodeDPoPForm},
		"old":                 {one(nil, changed{"iat": 1790000000 - 61}), validate.CodeDPoPTime},
		"from the future":     {one(nil, changed{"iat": 1790000000 + 31}), validate.CodeDPoPTime},
		"no nonce":            {one(nil, changed{"nonce": nil}), validate.CodeDPoPNonce},
		"another's nonce":     {one(nil, changed{"nonce": "AAAAAAAAAAAAAAAAAAAAAAAA"}), validate.CodeDPoPNonce},
	} {
		proof, err := check(c.proofs...)
		if proof != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := check(one(nil, changed{"ath": "anything"})...); err != nil { // there is no token that it could be for
		t.Errorf("with ath: %v", err)
	}
	clock.Advance(time.Minute)
	late := one(nil, changed{"iat": 1790000060})
	if _, err := check(late...); err != nil {
		t.Errorf("with the nonce of the period before: %v", err)
	}
	clock.Advance(time.Minute)
	if _, err := check(one(nil, changed{"iat": 1790000120})...); !errors.Is(err, validate.CodeDPoPNonce) {
		t.Errorf("with an old nonce: %v", err)
	}
	if _, err := validate.NewProofs(validate.DPoP{MaxAge: 48 * time.Hour}, nil); err == nil {
		t.Error("proofs that are good for two days")
	}
	silent, err := validate.NewProofs(validate.DPoP{}, clock.Now)
	if err != nil || silent.Nonce() != "" {
		t.Errorf("without nonces: %q, %v", silent.Nonce(), err)
	}
}

func thumbprintText(k *forge.Key) string {
	sum := k.Thumbprint()
	return forge.Text(sum[:])
}
