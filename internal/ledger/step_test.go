package ledger

import (
	"maps"
	"strings"
	"testing"
	"time"

	"seawall/internal/mint"
)

// TestThumbprintVectors are the examples of RFC 7638 §3.1 and RFC 8037 appendix A.3.
func TestThumbprintVectors(t *testing.T) {
	for _, c := range []struct {
		alg  string
		jwk  map[string]string
		want string
	}{
		{"RS256", map[string]string{"kty": "RSA", "e": "AQAB", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"},
			"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
		{"EdDSA", map[string]string{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
			"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
	} {
		got, err := thumbprint(c.alg, c.jwk)
		if err != nil || rawURL.EncodeToString(got[:]) != c.want {
			t.Errorf("%s: %s, %v; want %s", c.alg, rawURL.EncodeToString(got[:]), err, c.want)
		}
	}
}

func TestThumbprintRefuses(t *testing.T) {
	good := newKey(t, "acme", "https://id.example", time.Now()).JWK
	with := func(name, value string) map[string]string {
		k := maps.Clone(good)
		k[name] = value
		return k
	}
	swapped := maps.Clone(good)
	swapped["x"], swapped["y"] = good["y"], good["x"]
	for name, c := range map[string]struct {
		alg  string
		jwk  map[string]string
		want string
	}{
		"a private member":        {"ES256", with("d", "AAAA"), "no other members"},
		"an unknown member":       {"ES256", with("use", "sig"), "no other members"},
		"another algorithm's key": {"RS256", good, "not a key for it"},
		"none":                    {"none", good, "no algorithm of ours"},
		"a symmetric key":         {"HS256", map[string]string{"kty": "oct", "k": "AAAA"}, "no algorithm of ours"},
		"another curve":           {"ES256", with("crv", "P-384"), "not a key for it"},
		"a point off the curve":   {"ES256", swapped, "not on the curve"},
		"a short coordinate":      {"ES256", with("x", good["x"][:20]), "x is malformed"},
		"a line end inside":       {"ES256", with("x", good["x"][:20]+"\n"+good["x"][20:]), "x is malformed"},
		"padding":                 {"ES256", with("y", good["y"]+"="), "y is malformed"},
		"a small modulus":         {"RS256", map[string]string{"kty": "RSA", "e": "AQAB", "n": strings.Repeat("_", 168)}, "2048 to 4096"},
		"an even modulus":         {"RS256", map[string]string{"kty": "RSA", "e": "AQAB", "n": strings.Repeat("_", 341) + "g"}, "modulus is even"},
		"an empty modulus":        {"RS256", map[string]string{"kty": "RSA", "e": "AQAB"}, "n is malformed"},
		"exponent 3":              {"RS256", map[string]string{"kty": "RSA", "e": "Aw", "n": strings.Repeat("_", 342)}, "exponent"},
		"a long Ed25519 key":      {"EdDSA", map[string]string{"kty": "OKP", "crv": "Ed25519", "x": strings.Repeat("A", 44)}, "x is malformed"},
	} {
		if _, err := thumbprint(c.alg, c.jwk); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestStepsOfAKey(t *testing.T) {
	r, p, i := ready(t)
	now := r.clock.now()
	root := loadedKeys(t, r.dir).public()

	spare := newKey(t, "acme", i.url, now)
	staged := step(&spare, mint.KeyStaged)
	recorded, err := p.steps(staged)
	if err != nil {
		t.Fatal(err)
	}
	e, err := mint.ReadEntry(nthEntry(t, r, recorded.Sequence))
	if err != nil || e.Kind != mint.KeyStaged || e.KID != spare.KID || e.Tenant != "acme" {
		t.Fatalf("entry %+v, %v", e, err)
	}
	st, err := statementOf(e)
	if err != nil || len(recorded.Statements) != 1 || !st.Verify(root, recorded.Statements[0]) {
		t.Fatalf("the statement %v does not verify, %v", recorded.Statements, err)
	}
	if st.Issuer != i.url || st.KID != spare.KID || st.Alg != "ES256" || st.NotBefore != spare.NotBefore || st.SigningEnds != spare.SigningEnds || st.Expires != spare.Expires {
		t.Errorf("the statement says %+v", st)
	}
	if head, err := recorded.Head(); err != nil || head != r.l.Head() {
		t.Errorf("head %+v, %v; want %+v", head, err, r.l.Head())
	}

	old := i.key
	rotation := []mint.KeyRecord{step(&old, mint.KeyVerifyOnly), step(&spare, mint.KeyActivated)}
	if recorded, err = p.steps(rotation...); err != nil || len(recorded.Statements) != 2 {
		t.Fatalf("rotation: %+v, %v", recorded, err)
	}
	if _, got, _ := p.tokens(r.l, i.token(now)); got[0].Refusal == nil || got[0].Refusal.Code != mint.KeyNotActive {
		t.Errorf("a token under the old key: %v", got[0].Refusal)
	}
	i.key = spare
	if _, got, _ := p.tokens(r.l, i.token(now)); got[0].Refusal != nil {
		t.Errorf("a token under the new key: %v", got[0].Refusal)
	}
	recorded, err = p.steps(step(&old, mint.KeyRetired), because(step(&spare, mint.KeyRevoked), mint.ByAdmin))
	if err != nil || recorded.Statements[0] != "" || recorded.Statements[1] != "" {
		t.Errorf("a key that may not verify has a statement: %+v, %v", recorded, err)
	}
	h := p.mustHello()
	states := map[string]mint.KeyStep{}
	for _, k := range h.Keys {
		states[k.KID] = k
	}
	if k := states[old.KID]; k.State != mint.KeyRetired || k.Epoch != 4 || k.Tenant != "acme" || k.Issuer != i.url {
		t.Errorf("hello says %+v", k)
	}
	if k := states[spare.KID]; k.State != mint.KeyRevoked || k.Epoch != 3 {
		t.Errorf("hello says %+v", k)
	}
	if h.Policies["acme"] != 1 {
		t.Errorf("policies %v", h.Policies)
	}
	// All of it survives a restart, with the saved state and without.
	for _, saved := range []bool{true, false} {
		r.close()
		if !saved {
			removeFile(t, r.dir, stateFile)
		}
		r.open()
		p = r.dial(Signer)
		if again := p.mustHello(); len(again.Keys) != len(h.Keys) || again.Policies["acme"] != 1 {
			t.Errorf("after a restart (saved %v): %+v", saved, again)
		} else {
			for n := range h.Keys {
				if again.Keys[n] != h.Keys[n] {
					t.Errorf("after a restart (saved %v): %+v, want %+v", saved, again.Keys[n], h.Keys[n])
				}
			}
		}
	}
}

// TestImpossibleSteps asks for every step that must not be: none is recorded, not even beside a possible one.
func TestImpossibleSteps(t *testing.T) {
	r, p, i := ready(t)
	p.issuer("globex", r.clock.now())
	now := r.clock.now()
	spare := newKey(t, "acme", i.url, now)
	if _, err := p.steps(step(&spare, mint.KeyStaged)); err != nil {
		t.Fatal(err)
	}
	record := func(kind mint.EntryKind, k mint.Key, change func(*mint.Key)) mint.KeyRecord {
		k.Epoch++
		change(&k)
		return mint.KeyRecord{Kind: kind, Key: k, Actor: "signer"}
	}
	same := func(*mint.Key) {}
	fresh := func() mint.Key { return newKey(t, "acme", i.url, now) }
	for name, c := range map[string]struct {
		step mint.KeyRecord
		want mint.Code
		text string
	}{
		"no step":           {record("key.lost", spare, same), mint.EntryNotAllowed, "not a step"},
		"a token as a step": {record(mint.TokenIssued, spare, same), mint.EntryNotAllowed, "not a step"},
		"staged twice":      {record(mint.KeyStaged, spare, func(k *mint.Key) { k.Epoch = 1 }), mint.KeyTransition, "staged before"},
		"one key for two issuers": {record(mint.KeyStaged, i.key, func(k *mint.Key) {
			k.KID, k.Epoch, k.Tenant, k.Issuer = "other", 1, "globex", "https://id.example/globex"
		}), mint.KeyTransition, "belongs to one issuer"},
		"active without staging":        {record(mint.KeyActivated, fresh(), same), mint.KeyTransition, "never been staged"},
		"two active":                    {record(mint.KeyActivated, spare, same), mint.KeyTransition, "still active"},
		"from staged to verify-only":    {record(mint.KeyVerifyOnly, spare, same), mint.KeyTransition, "cannot go from key.staged to key.verify-only"},
		"from active to retired":        {record(mint.KeyRetired, i.key, same), mint.KeyTransition, "cannot go from key.activated to key.retired"},
		"active again":                  {record(mint.KeyActivated, i.key, same), mint.KeyTransition, "cannot go from key.activated to key.activated"},
		"an epoch left out":             {record(mint.KeyRevoked, spare, func(k *mint.Key) { k.Epoch++ }), mint.KeyTransition, "epoch 3 does not follow 1"},
		"an epoch again":                {record(mint.KeyRevoked, spare, func(k *mint.Key) { k.Epoch-- }), mint.KeyTransition, "epoch 1 does not follow 1"},
		"a first epoch of 2":            {record(mint.KeyStaged, fresh(), func(k *mint.Key) { k.Epoch = 2 }), mint.KeyTransition, "epoch 2 does not follow 0"},
		"a longer life":                 {record(mint.KeyRevoked, spare, func(k *mint.Key) { k.Expires++ }), mint.KeyTransition, "changes what was stated"},
		"a longer signing time":         {record(mint.KeyRevoked, spare, func(k *mint.Key) { k.SigningEnds++ }), mint.KeyTransition, "changes what was stated"},
		"an earlier beginning":          {record(mint.KeyRevoked, spare, func(k *mint.Key) { k.NotBefore-- }), mint.KeyTransition, "changes what was stated"},
		"another key under the kid":     {record(mint.KeyRevoked, spare, func(k *mint.Key) { f := fresh(); k.JWK, k.Thumbprint = f.JWK, f.Thumbprint }), mint.KeyTransition, "changes what was stated"},
		"an unknown tenant":             {record(mint.KeyStaged, fresh(), func(k *mint.Key) { k.Tenant = "initech" }), mint.TenantUnknown, "no policy of the tenant"},
		"another tenant's issuer":       {record(mint.KeyStaged, fresh(), func(k *mint.Key) { k.Tenant = "globex" }), mint.IssuerMismatch, "not the one bound to the tenant"},
		"another issuer":                {record(mint.KeyStaged, fresh(), func(k *mint.Key) { k.Issuer += "/x" }), mint.IssuerMismatch, "not the one bound to the tenant"},
		"a wrong thumbprint":            {record(mint.KeyStaged, fresh(), func(k *mint.Key) { k.Thumbprint = spare.Thumbprint }), mint.KeyMismatch, "thumbprint is not that"},
		"a private key":                 {record(mint.KeyStaged, fresh(), func(k *mint.Key) { k.JWK["d"] = "AAAA" }), mint.EntryInvalid, "no other members"},
		"an unknown family":             {record(mint.KeyStaged, fresh(), func(k *mint.Key) { k.Family = "id" }), mint.KeyMismatch, "family"},
		"kinds of another family":       {record(mint.KeyStaged, fresh(), func(k *mint.Key) { k.Kinds = []string{"at+jwt", "JWT"} }), mint.KeyMismatch, "token kinds"},
		"no kinds":                      {record(mint.KeyStaged, fresh(), func(k *mint.Key) { k.Kinds = nil }), mint.KeyMismatch, "token kinds"},
		"dates out of order":            {record(mint.KeyStaged, fresh(), func(k *mint.Key) { k.Expires = k.SigningEnds - 1 }), mint.EntryInvalid, "not in order"},
		"no time to sign":               {record(mint.KeyStaged, fresh(), func(k *mint.Key) { k.SigningEnds = k.NotBefore }), mint.EntryInvalid, "not in order"},
		"ended already":                 {record(mint.KeyStaged, fresh(), func(k *mint.Key) { k.NotBefore, k.SigningEnds = now.Unix()-3600, now.Unix()-1 }), mint.EntryInvalid, "ended already"},
		"dated back":                    {record(mint.KeyStaged, fresh(), func(k *mint.Key) { k.NotBefore = now.Unix() - 100000 }), mint.EntryInvalid, "more than a day ago"},
		"an endless life":               {record(mint.KeyStaged, fresh(), func(k *mint.Key) { k.Expires = now.Unix() + 1e9 }), mint.EntryInvalid, "too far away"},
		"before time began":             {record(mint.KeyStaged, fresh(), func(k *mint.Key) { k.NotBefore = -1 }), mint.EntryInvalid, "more than a day ago"},
		"no kid":                        {record(mint.KeyStaged, fresh(), func(k *mint.Key) { k.KID = "" }), mint.EntryInvalid, "kid is missing"},
		"a kid that moves the terminal": {record(mint.KeyStaged, fresh(), func(k *mint.Key) { k.KID = "\x1b[A" }), mint.EntryInvalid, "plain text"},
	} {
		before := r.l.Head().Size
		possible := fresh()
		if _, err := p.steps(step(&possible, mint.KeyStaged), c.step); !isRefusal(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %s: %s", name, err, c.want, c.text)
		}
		if after := r.l.Head().Size; after != before {
			t.Errorf("%s: %d entries were recorded", name, after-before)
		}
		possible.Epoch = 0
		if _, err := p.steps(step(&possible, mint.KeyStaged)); err != nil {
			t.Fatalf("%s: the possible step was remembered though it was not recorded: %v", name, err)
		}
	}
	// A rotation in the wrong order has two active keys for a moment, and is refused as a whole.
	old := i.key
	if _, err := p.steps(record(mint.KeyActivated, spare, same), record(mint.KeyVerifyOnly, old, same)); !isRefusal(err, mint.KeyTransition) {
		t.Errorf("a rotation in the wrong order: %v", err)
	}
	if _, got, _ := p.tokens(r.l, i.token(now)); got[0].Refusal != nil {
		t.Errorf("the active key does not sign any more: %v", got[0].Refusal)
	}
	if _, err := p.steps(record(mint.KeyVerifyOnly, old, same), record(mint.KeyActivated, spare, same)); err != nil {
		t.Errorf("a rotation: %v", err)
	}
}

// TestHelloHasPages gives the ledger more keys than fit into an answer.
func TestHelloHasPages(t *testing.T) {
	r, p, i := ready(t)
	const n = 2*helloKey + 10
	done := make(chan struct{})
	template := i.key
	r.l.queue.put(&job{alone: func() {
		for len(r.l.state.Keys) < n {
			k, err := keyOf(&mint.Entry{Kind: mint.KeyRetired, Tenant: "acme", Issuer: i.url, Detail: []mint.Field{
				{Name: "nbf", Value: "1"}, {Name: "signing_ends", Value: "2"}, {Name: "exp", Value: "3"}, {Name: "epoch", Value: "4"}}})
			if err != nil {
				t.Error(err)
			}
			kid := mint.NewJTI()
			k.Thumbprint = kid
			r.l.state.put(kid, k)
		}
		close(done)
	}})
	<-done
	seen := map[string]bool{}
	after, pages := "", 0
	for {
		h := new(mint.Hello)
		if err := p.askJSON(mint.MsgHello, mint.HelloQuery{KeysAfter: after}, h); err != nil {
			t.Fatal(err)
		}
		for _, k := range h.Keys {
			seen[k.KID] = true
		}
		if pages++; h.More == "" {
			break
		}
		after = h.More
	}
	if len(seen) != n || pages != 3 || !seen[template.KID] {
		t.Errorf("%d keys on %d pages, want %d on 3", len(seen), pages, n)
	}
}
