package validate

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"seawall/validate/internal/forge"
)

// FuzzProof gives the fuzzer the client's DPoP key: any header and claims, validly signed. Whatever is
// accepted must be strict JSON and say, by encoding/json, what RFC 9449 §4.3 demands; and what was
// accepted once is refused the second time.
func FuzzProof(f *testing.F) {
	const now, called = 1790000000, "https://api.example/items"
	issuer, client := forge.NewKey("EdDSA", "k"), forge.NewKey("EdDSA", "client")
	v, err := New(Config{
		Issuers:   []Issuer{ForeignIssuer(ForeignConfig{Issuer: "https://x", Keys: StaticKeys(forge.Set(nil, issuer.JWK()))})},
		Audiences: []string{"a"},
		Now:       func() time.Time { return time.Unix(now, 0) },
	})
	if err != nil {
		f.Fatal(err)
	}
	sum := client.Thumbprint()
	token := issuer.Sign(forge.Header("EdDSA", "at+jwt", "k"), forge.JSON(map[string]any{
		"iss": "https://x", "sub": "s", "aud": "a", "iat": now, "exp": now + 600, "cnf": map[string]any{"jkt": forge.Text(sum[:])},
	}))
	jwk := string(forge.JSON(client.Public()))
	header := `{"typ":"dpop+jwt","alg":"EdDSA","jwk":` + jwk + `}`
	claims := `{"jti":"p","htm":"GET","htu":"` + called + `","iat":1790000000,"ath":"` + forge.AccessTokenHash(token) + `"}`
	f.Add(header, claims)
	f.Add(` {"jwk":`+jwk+`,"alg":"EdDSA","typ":"dpop+jwt","x":{"a":[]}} `, strings.Replace(claims, `"iat":1790000000`, `"iat":1.79e9,"nonce":7,"exp":1`, 1))
	f.Add(strings.Replace(header, `"kty"`, `"d":"x","kty"`, 1), claims)
	f.Add(header, strings.Replace(claims, "api.example", "API.example:443", 1))
	for _, seed := range scannerSeeds {
		f.Add(header, seed)
		f.Add(seed, claims)
	}
	f.Fuzz(func(t *testing.T, header, claims string) {
		v.dpop.replays = NewReplays(0)
		proof := client.Sign([]byte(header), []byte(claims))
		p := Presentation{Scheme: "DPoP", Method: "GET", URL: called, Proofs: []string{proof}}
		_, err := v.Presented(context.Background(), token, p)
		if err != nil {
			if !strings.HasPrefix(string(err.(*Error).Code), "dpop_") || errors.Is(err, CodeDPoPSignature) {
				t.Fatalf("%q %q: %v", header, claims, err)
			}
			return
		}
		if !reference([]byte(header)) || !reference([]byte(claims)) {
			t.Fatalf("%q %q: accepted, but not strict JSON", header, claims)
		}
		var h, c map[string]any
		if json.Unmarshal([]byte(header), &h) != nil || json.Unmarshal([]byte(claims), &c) != nil {
			t.Fatalf("%q %q: accepted, but not JSON", header, claims)
		}
		key, _ := h["jwk"].(map[string]any)
		iat, _ := c["iat"].(float64)
		target, _ := c["htu"].(string)
		u, err := url.Parse(target)
		if h["typ"] != "dpop+jwt" || h["alg"] != "EdDSA" || h["crit"] != nil || key["x"] != client.Public()["x"] || key["d"] != nil || key["k"] != nil ||
			c["htm"] != "GET" || c["ath"] != forge.AccessTokenHash(token) || c["jti"] == "" || iat < now-300 || iat > now+30 ||
			err != nil || !strings.EqualFold(u.Scheme, "https") || !strings.EqualFold(u.Hostname(), "api.example") || u.EscapedPath() != "/items" || u.User != nil {
			t.Fatalf("%q %q: accepted", header, claims)
		}
		if _, err := v.Presented(context.Background(), token, p); !errors.Is(err, CodeDPoPReplay) {
			t.Fatalf("%q %q: a second use gives %v", header, claims, err)
		}
	})
}

// FuzzTarget compares with net/url: what counts as one URL here must be one there, and a URL with
// itself is one whatever its query.
func FuzzTarget(f *testing.F) {
	for _, seed := range []string{
		"https://api.example/items", "HTTPS://API.example:443/items", "https://api.example", "https://api.example/?a=b#c", "http://[::1]:80/", "http://[::1]/", "https://u@h/", "https://h:/x", "//h/x", "https:///x",
		"https://h%41/x", "https://h/%7e", "https://K/x", "https://k\u212a/", "http://h:080/", "https://a:b:443/",
	} {
		f.Add(seed, seed)
		f.Add(seed, "https://api.example/items")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if !sameTarget(a, b) {
			return
		}
		if _, ok := splitTarget(a); ok && !strings.ContainsAny(a, "?#") && !sameTarget(a, a+"?"+b) {
			t.Fatalf("%q is not itself", a)
		}
		u, errU := url.Parse(a)
		w, errW := url.Parse(b)
		if errU != nil || errW != nil {
			return // a proof for what net/url can't read is good for exactly that, and no server serves it
		}
		path := func(u *url.URL) string {
			if p := u.EscapedPath(); p != "" {
				return p
			}
			return "/"
		}
		if !strings.EqualFold(u.Scheme, w.Scheme) || !strings.EqualFold(u.Hostname(), w.Hostname()) || path(u) != path(w) || u.User != nil || w.User != nil {
			t.Fatalf("%q and %q count as one", a, b)
		}
	})
}

// FuzzFamilies gives the fuzzer an issuer's key and lets it call every token JWT. Whatever it writes,
// a logout token, a security event and an ID token are three things: no two judges accept one token.
func FuzzFamilies(f *testing.F) {
	const now = 1790000000
	k := forge.NewKey("EdDSA", "k")
	c := Config{
		Issuers: []Issuer{ForeignIssuer(ForeignConfig{Issuer: "https://x", Keys: StaticKeys(forge.Set(nil, k.JWK()))})},
		Types:   []string{"JWT"},
		Now:     func() time.Time { return time.Unix(now, 0) },
	}
	ids, errI := NewIDTokens("c", c)
	logouts, errL := NewLogoutTokens("c", c, nil)
	c.Audiences = []string{"c"}
	events, errE := NewSecurityEvents(c)
	access, errA := New(c)
	if err := errors.Join(errI, errL, errE, errA); err != nil {
		f.Fatal(err)
	}
	f.Add(`{"iss":"https://x","sub":"s","aud":"c","iat":1790000000,"exp":1790000600,"nonce":"n"}`)
	f.Add(`{"iss":"https://x","sub":"s","aud":"c","iat":1790000000,"exp":1790000100,"jti":"j","events":{"http://schemas.openid.net/event/backchannel-logout":{}}}`)
	f.Add(`{"iss":"https://x","aud":"c","iat":1790000000,"jti":"j","events":{"urn:x":{"a":[1]}}}`)
	f.Add(`{"iss":"https://x","sub":"s","aud":["c"],"iat":1790000000,"jti":"j","sid":"x","events":{"http:\/\/schemas.openid.net/event/backchannel-logout":{},"y":{}},"nonce":"n","exp":1790000100}`)
	for _, seed := range scannerSeeds {
		f.Add(seed)
	}
	header := forge.Header("EdDSA", "JWT", "k")
	f.Fuzz(func(t *testing.T, payload string) {
		logouts.used = NewReplays(0)
		raw := k.Sign(header, []byte(payload))
		_, errA := access.Token(context.Background(), raw)
		_, errI := ids.Token(context.Background(), raw, Login{Nonce: "n"})
		logout, errL := logouts.Token(context.Background(), raw)
		event, errE := events.Token(context.Background(), raw)
		taken := 0
		for _, err := range []error{errI, errL, errE} {
			if err == nil {
				taken++
			}
		}
		if taken > 1 || errA == nil && (errL == nil || errE == nil) {
			t.Fatalf("%q is of %d kinds: %v, %v, %v, %v", payload, taken, errA, errI, errL, errE)
		}
		if taken > 0 && !reference([]byte(payload)) {
			t.Fatalf("%q: accepted, but not strict JSON", payload)
		}
		var claims map[string]any
		if errL == nil && (logout.Claims(&claims) != nil || logout.ID() == "" || claims["nonce"] != nil || logout.Subject()+logout.SessionID() == "") {
			t.Fatalf("%q: accepted as a logout token", payload)
		}
		if errE == nil && (event.Claims(&claims) != nil || event.ID() == "" || claims["exp"] != nil || len(event.Events()) == 0) {
			t.Fatalf("%q: accepted as a security event", payload)
		}
	})
}
