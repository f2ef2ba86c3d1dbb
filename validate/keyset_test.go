package validate

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"seawall/validate/internal/forge"
	"seawall/validate/internal/wire"
)

// RFC 7638 §3.1 and RFC 8037 §A.3 give these thumbprints.
func TestThumbprint(t *testing.T) {
	for jwk, want := range map[string]string{
		`{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}`: "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
		`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"k"}`: "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
	} {
		k := newKey([]byte(jwk))
		if k.flaw != "" {
			t.Fatal(k.flaw)
		}
		if sum := k.thumbprint(); forge.Text(sum[:]) != want {
			t.Errorf("%s, want %s", forge.Text(sum[:]), want)
		}
	}
	for _, alg := range []string{"ES256", "RS256", "EdDSA"} {
		signer := forge.NewKey(alg, "k")
		if k := newKey(forge.JSON(signer.JWK())); k.thumbprint() != signer.Thumbprint() {
			t.Errorf("%s: the two sides do not agree", alg)
		}
	}
}

func TestWeakEdwardsPoint(t *testing.T) {
	for range 20 {
		public, _, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		if why := weakEdwardsPoint(public); why != "" {
			t.Errorf("a random key: %s", why)
		}
	}
	little := func(n *big.Int) []byte {
		b := n.FillBytes(make([]byte, 32))
		slices.Reverse(b)
		return b
	}
	for text, want := range map[string]string{
		"0100000000000000000000000000000000000000000000000000000000000000": "small order",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f": "small order",
		"0000000000000000000000000000000000000000000000000000000000000000": "small order",
		"0000000000000000000000000000000000000000000000000000000000000080": "small order",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05": "small order",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85": "small order",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a": "small order",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa": "small order",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f": "canonically",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f": "canonically",
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff": "canonically",
		"0200000000000000000000000000000000000000000000000000000000000000": "curve",
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if why := weakEdwardsPoint(b); !strings.Contains(why, want) {
			t.Errorf("%s: %q, want %q", text, why, want)
		}
	}
	// Whether a point is on the curve must be decided as the standard library does, whose refusal
	// shows in the error's text.
	for n := range int64(200) {
		b := little(big.NewInt(n))
		err := ed25519.VerifyWithOptions(b, nil, make([]byte, 64), &ed25519.Options{})
		off := err != nil && strings.Contains(err.Error(), "bad public key")
		if mine := strings.Contains(weakEdwardsPoint(b), "curve"); mine != off {
			t.Errorf("y = %d: off the curve %v, want %v", n, mine, off)
		}
	}
}

func TestPattern(t *testing.T) {
	const a, b = "2a9c4e71-65d0-4b3f-8e12-b7d4f09a3c55", "f15b8d03-9e27-4c6a-a1b4-38c0d7e9625f"
	for _, c := range []struct {
		pattern, iss, tid string
		match, resembles  bool
	}{
		{"https://x", "https://x", "", true, false},
		{"https://x", "https://X", "", false, false},
		{"https://x", "https://x/", "", false, false},
		{"https://x/{tenantid}/v2", "https://x/" + a + "/v2", a, true, true},
		{"https://x/{tenantid}/v2", "https://x/" + a + "/v2", b, false, true},
		{"https://x/{tenantid}/v2", "https://x/" + a + "/v2", "", false, true},
		{"https://x/{tenantid}/v2", "https://x//v2", "", false, true},
		{"https://x/{tenantid}/v2", "https://x/{tenantid}/v2", "{tenantid}", false, true},
		{"https://x/{tenantid}/v2", "https://x/" + a + "/v2/", a, false, false},
		{"https://x/{tenantid}/v2", "https://x/v2", a, false, false},
		{"{tenantid}", a, a, true, true},
		{"{tenantid}/{tenantid}", a + "/" + a, a, true, true},
		{"{tenantid}/{tenantid}", a + "/" + b, a, false, true},
		{"{tenantid}{tenantid}", a + a, a, true, true},
		{"https://x/{TENANTID}", "https://x/" + a, a, false, false},
	} {
		p := newPattern(c.pattern)
		if got := p.match([]byte(c.iss), []byte(c.tid)); got != c.match {
			t.Errorf("%s matches %s with %s: %v", c.pattern, c.iss, c.tid, got)
		}
		if got := p.resembles([]byte(c.iss)); got != c.resembles {
			t.Errorf("%s resembles %s: %v", c.pattern, c.iss, got)
		}
	}
	for text, want := range map[string]bool{
		a: true, strings.ToUpper(a): false, a + "0": false, a[1:]: false, strings.ReplaceAll(a, "-", "0"): false, strings.Replace(a, "2", "g", 1): false, strings.Repeat("-", 36): false, "": false,
	} {
		if isUUID([]byte(text)) != want {
			t.Errorf("%q is a UUID: %v", text, !want)
		}
	}
}

func TestKeyDocument(t *testing.T) {
	ledger := forge.NewLedger(0, 1<<40)
	k := forge.NewKey("ES256", "k")
	k.Issuer, k.Kinds, k.SigningEnds, k.Expires = "https://id.example", []string{"at+jwt"}, 1<<40, 1<<40
	seawall := terms{issuer: k.Issuer, seawall: true, pin: ledger.Pin()}
	foreign := terms{issuer: k.Issuer}
	good := forge.Set(ledger.Document(), ledger.JWK(k))
	set, err := newKeySet(good, seawall)
	if err != nil || len(set.notes) != 0 || set.usable(seawall, time.Now()) != 1 || len(set.receipts) != 1 {
		t.Fatalf("a good document: %v", err)
	}
	for text, want := range map[string]Code{
		``: CodeKeysUnavailable, `null`: CodeKeysUnavailable, `[]`: CodeKeysUnavailable, `{}`: CodeKeysUnavailable, `{"keys":{}}`: CodeKeysUnavailable, `{"keys":null}`: CodeKeysUnavailable,
		`{"keys":[]`: CodeKeysUnavailable, `{"keys":[],"keys":[]}`: CodeKeysUnavailable, `{"keys":[]} x`: CodeKeysUnavailable, `<html>`: CodeKeysUnavailable,
		`{"Keys":[]}`: CodeKeysUnavailable, `{"keys":[],"seawall_ledger":null}`: CodeLedgerAnnounced, `{"keys":[],"seawall\u005fledger":{}}`: CodeLedgerAnnounced,
		string(good): CodeLedgerAnnounced,
	} {
		if _, err := newKeySet([]byte(text), foreign); err == nil || err.code != want {
			t.Errorf("foreign %.60s: %v, want %s", text, err, want)
		}
	}
	for text, want := range map[string]Code{
		`{"keys":[]}`: CodeLedgerPin, `{"keys":[],"seawall_ledger":null}`: CodeLedgerPin, `{"keys":[],"seawall_ledger":{}}`: CodeLedgerPin, `{"keys":[],"seawall_ledger":{"root":1}}`: CodeLedgerPin,
		`{"keys":[],"seawall_ledger":{"root":"` + strings.Repeat("A", 43) + `"}}`:                                                                   CodeLedgerPin,
		strings.Replace(string(good), `"root":"`, `"root":"A`, 1):                                                                                   CodeLedgerPin,
		strings.Replace(string(good), `"seawall_ledger":{`, `"seawall_ledger":{"root":"`+forge.Text(make([]byte, 32))+`",`, 1):                      CodeLedgerPin,
		strings.Replace(string(good), `"seawall_ledger":{`, `"seawall_ledger":{"x":{"a":1,"a":2},`, 1):                                              CodeLedgerPin,
		strings.Replace(string(good), `{"keys"`, `{"seawall_ledger":{"root":"`+forge.Text(ledger.Root.Public().(ed25519.PublicKey))+`"},"keys"`, 1): CodeKeysUnavailable,
	} {
		if _, err := newKeySet([]byte(text), seawall); err == nil || err.code != want {
			t.Errorf("seawall %.60s: %v, want %s", text, err, want)
		}
	}
	var refusal *Error
	if _, err := newKeySet([]byte(`{}`), foreign); !errors.As(err, &refusal) || refusal.Code != CodeKeysUnavailable || !errors.Is(err, CodeKeysUnavailable) {
		t.Errorf("the code can't be had from %v", err)
	}
}

func TestBadKeysAreNoted(t *testing.T) {
	doc := forge.Set(nil, forge.NewKey("ES256", "good").JWK(), map[string]any{"kid": "odd", "kty": "oct", "k": "c2VjcmV0"})
	set, err := newKeySet(doc, terms{issuer: "https://x"})
	if err != nil {
		t.Fatal(err)
	}
	if len(set.notes) != 1 || !strings.Contains(set.notes[0], `"odd"`) || strings.Contains(set.notes[0], "c2VjcmV0") {
		t.Errorf("notes: %q", set.notes)
	}
}

// The ledger's own keys must be sound too: a receipt key of small order would verify anything.
func TestWeakReceiptKey(t *testing.T) {
	ledger := forge.NewLedger(0, 1<<40)
	weak := make([]byte, 32)
	weak[0] = 1
	id := wire.LedgerKeyID(weak)
	entry := forge.JSON(map[string]any{
		"id": forge.Text(id[:]), "x": forge.Text(weak), "nbf": 0, "exp": 1 << 40,
		"certificate": forge.Text(ed25519.Sign(ledger.Root, wire.CertificateInput(weak, 0, 1<<40))),
	})
	if _, ok := newReceiptKey(entry, ledger.Root.Public().(ed25519.PublicKey)); ok {
		t.Error("a receipt key of small order was taken")
	}
	if _, ok := newReceiptKey(forge.JSON(ledger.ReceiptKey()), ledger.Root.Public().(ed25519.PublicKey)); !ok {
		t.Error("a good receipt key was not taken")
	}
}

func FuzzKeyDocument(f *testing.F) {
	ledger := forge.NewLedger(0, 1<<40)
	k := forge.NewKey("EdDSA", "k")
	k.Issuer, k.Kinds, k.SigningEnds, k.Expires = "https://id.example", []string{"at+jwt"}, 1<<40, 1<<40
	seawall := terms{issuer: k.Issuer, seawall: true, pin: ledger.Pin()}
	foreign := terms{issuer: k.Issuer}
	f.Add(forge.Set(ledger.Document(), ledger.JWK(k)))
	f.Add(forge.Set(nil, k.JWK(), forge.NewKey("ES256", "e").JWK(), forge.NewKey("RS256", "r").JWK()))
	f.Add([]byte(`{"keys":[null,1,"",[],{},{"kty":"oct","k":"AAAA"},{"kid":"a","kty":"EC","crv":"P-256","x":"AA","y":"AA","exp":"1"}]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		if set, err := newKeySet(doc, foreign); (set == nil) == (err == nil) {
			t.Fatal("neither or both of set and error")
		}
		set, err := newKeySet(doc, seawall)
		if (set == nil) == (err == nil) {
			t.Fatal("neither or both of set and error")
		}
		if set == nil {
			return
		}
		for _, list := range set.keys {
			for _, found := range list {
				if found.flaw == "" && !found.unvouched && (found.thumbprint() != k.Thumbprint() || found.id != k.ID || found.issuer.text != k.Issuer) {
					t.Fatal("a key passes that the ledger never saw")
				}
			}
		}
		for _, r := range set.receipts {
			if !r.public.Equal(ledger.Receipts.Public()) {
				t.Fatal("a receipt key passes that the root never saw")
			}
		}
	})
}

// A key that can verify no token of the issuer doesn't make a document worth having.
func TestUsableKeys(t *testing.T) {
	const tenants = "https://login.example/{tenantid}/v2"
	const one = "https://login.example/2a9c4e71-65d0-4b3f-8e12-b7d4f09a3c55/v2"
	now := time.Unix(1790000000, 0)
	for name, c := range map[string]struct {
		issuer string
		change func(jwk map[string]any)
		want   int
	}{
		"sound":                          {one, func(map[string]any) {}, 1},
		"without alg":                    {one, func(jwk map[string]any) { delete(jwk, "alg") }, 1},
		"of an alg nobody here knows":    {one, func(jwk map[string]any) { jwk["alg"] = "ES512" }, 0},
		"of an alg for other keys":       {one, func(jwk map[string]any) { jwk["alg"] = "RS256" }, 0},
		"for encryption":                 {one, func(jwk map[string]any) { jwk["use"] = "enc" }, 0},
		"of this issuer":                 {one, func(jwk map[string]any) { jwk["issuer"] = one }, 1},
		"of all its tenants":             {one, func(jwk map[string]any) { jwk["issuer"] = tenants }, 1},
		"of another issuer":              {one, func(jwk map[string]any) { jwk["issuer"] = "https://other.example" }, 0},
		"of the tenants of another":      {one, func(jwk map[string]any) { jwk["issuer"] = "https://other.example/{tenantid}" }, 0},
		"of one tenant among all":        {tenants, func(jwk map[string]any) { jwk["issuer"] = one }, 1},
		"of another issuer than theirs":  {tenants, func(jwk map[string]any) { jwk["issuer"] = "https://other.example" }, 0},
		"of nobody":                      {one, func(jwk map[string]any) { jwk["issuer"] = "" }, 0},
		"that ends in this second":       {one, func(jwk map[string]any) { jwk["exp"] = now.Unix() }, 0},
		"that ends in the next":          {one, func(jwk map[string]any) { jwk["exp"] = now.Unix() + 1 }, 1},
		"that begins tomorrow":           {one, func(jwk map[string]any) { jwk["nbf"] = now.Unix() + 86400 }, 1},
		"that is revoked, with no words": {one, func(jwk map[string]any) { jwk["revoked"] = nil }, 0},
	} {
		jwk := forge.NewKey("ES256", "k").JWK()
		c.change(jwk)
		terms := terms{issuer: c.issuer}
		set, err := newKeySet(forge.Set(nil, jwk), terms)
		if err != nil {
			t.Fatal(err)
		}
		if got := set.usable(terms, now); got != c.want {
			t.Errorf("a key %s: %d usable, want %d", name, got, c.want)
		}
		if alg := jwk["alg"]; (alg == "ES512" || alg == "RS256") && len(set.notes) != 1 {
			t.Errorf("a key %s is not reported", name)
		}
	}
}

// Thousands of keys that are no good neither spoil a set nor fill a log.
func TestNotesAreBounded(t *testing.T) {
	jwks := []map[string]any{forge.NewKey("EdDSA", "good").JWK()}
	for range 5000 {
		jwks = append(jwks, map[string]any{"kid": strings.Repeat("k", 50), "kty": "oct"})
	}
	set, err := newKeySet(forge.Set(nil, jwks...), terms{issuer: "https://x"})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(set.notes); n != maxNotes+1 || set.notes[n-1] != "and more" {
		t.Errorf("%d notes, the last %q", n, set.notes[n-1])
	}
	if n := set.usable(terms{issuer: "https://x"}, time.Unix(1790000000, 0)); n != 1 {
		t.Errorf("%d usable keys", n)
	}
}
