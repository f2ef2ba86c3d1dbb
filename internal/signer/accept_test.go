package signer

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"seawall/internal/mint"
)

// offline is a signer with two tenants and active keys that never sign: what it accepts can be looked at.
func offline(now time.Time) *Signer {
	ceilings := DefaultCeilings()
	key := func(kind mint.Kind, kid string) *signing {
		record := mint.Key{Alg: "ES256", KID: kid, Kinds: []string{string(kind)},
			NotBefore: now.Unix() - 60, SigningEnds: now.Unix() + 86400, Expires: now.Unix() + 86400 + 3600 + 60}
		return &signing{record: record, lifetime: 3600, header: (&mint.Token{Alg: record.Alg, Kind: kind, KID: record.KID}).Header(nil)}
	}
	s := &Signer{ceilings: ceilings, window: newWindow(day)}
	acme, people := testPolicy(), peoplePolicy()
	s.tenants.Store(&map[string]*tenant{
		"acme": {policy: acme, limits: compile(&acme, &ceilings),
			signing: map[mint.Family]*signing{mint.FamilyAccess: key(mint.AccessToken, "0123456789012345678901")}},
		"people": {policy: people, limits: compile(&people, &ceilings),
			signing: map[mint.Family]*signing{mint.FamilyAccess: key(mint.AccessToken, "1123456789012345678901"), mint.FamilyID: key(mint.IDToken, "2123456789012345678901")}},
	})
	return s
}

// What the key itself says comes after everything that the request says.
func TestKeysRefuse(t *testing.T) {
	now := time.Unix(1_790_000_000, 0)
	s := offline(now)
	ask := func(at time.Time, lifetime int64) error {
		q := testRequest()
		q.Lifetime = lifetime
		_, _, r := s.accept(q.Append(nil), at.Unix())
		if r == nil {
			return nil
		}
		return r
	}
	if err := ask(now, 3600); err != nil {
		t.Fatal(err)
	}
	ends := now.Add(day)
	if err := ask(ends.Add(-time.Second), 3600); err != nil {
		t.Errorf("the last second: %v", err)
	}
	wantCode(t, ask(ends, 60), mint.KeyOverdue)
	wantCode(t, ask(now.Add(-61*time.Second), 60), mint.ClockSkew)
	acme := s.tenantByID("acme")
	key := *acme.signing[mint.FamilyAccess]
	key.lifetime = 1800
	acme.signing[mint.FamilyAccess] = &key
	wantCode(t, ask(now, 1801), mint.KeyOutlived)
	key.lifetime, key.record.Expires = 3600, now.Unix()+100
	wantCode(t, ask(now, 101), mint.KeyOutlived)
	delete(acme.signing, mint.FamilyAccess)
	wantCode(t, ask(now, 60), mint.KeyUnavailable)
}

// A key that is past its end while transitions are frozen signs nothing: no clock, believed or not, can make it.
func TestAFrozenClockDoesNotProlongAKey(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	b.clock.jump(80 * day)
	b.settled()
	b.want("acme", "activated staged")
	_, err := b.mint(testRequest())
	wantCode(t, err, mint.KeyOverdue)
	b.clock.jump(-160 * day) // and before its beginning
	_, err = b.mint(testRequest())
	wantCode(t, err, mint.ClockSkew)
}

func TestWindow(t *testing.T) {
	now := time.Unix(1_790_000_000, 0)
	w := newWindow(time.Hour)
	a, b := mint.Digest{1}, mint.Digest{2}
	for range 2 {
		if !w.admit(now, "acme", "id", a) {
			t.Fatal("a retry is refused")
		}
	}
	if w.admit(now, "acme", "id", b) {
		t.Fatal("an id was used twice")
	}
	if !w.admit(now, "rival", "id", b) {
		t.Fatal("tenants share their ids")
	}
	// As long as a token with the id may live, and at least until the next generation, it is remembered.
	for _, later := range []time.Duration{59 * time.Minute, time.Hour, 90 * time.Minute, 119 * time.Minute} {
		if w.admit(now.Add(later), "acme", "id", b) {
			t.Errorf("forgotten after %s", later)
		}
	}
	w = newWindow(time.Hour)
	w.admit(now, "acme", "id", a)
	for _, later := range []time.Duration{time.Hour, 2 * time.Hour} {
		w.admit(now.Add(later), "acme", fmt.Sprint(later), a)
	}
	if len(w.young)+len(w.old) != 2 || !w.admit(now.Add(2*time.Hour), "acme", "id", b) {
		t.Error("it never forgets")
	}
}

// Under any load the window keeps a bounded memory, and the newest ids in it.
func TestWindowIsBounded(t *testing.T) {
	now := time.Unix(1_790_000_000, 0)
	w := newWindow(day)
	for i := range 3 * windowSize {
		w.admit(now, "acme", fmt.Sprint(i), mint.Digest{1})
	}
	if n := len(w.young) + len(w.old); n > 2*windowSize {
		t.Errorf("%d ids are remembered", n)
	}
	if w.admit(now, "acme", fmt.Sprint(2*windowSize+1), mint.Digest{2}) {
		t.Error("one of the last ids was forgotten")
	}
}

// FuzzAccept: whatever bytes come as a request, what is accepted is within the policy, and the token built from it is
// one that the ledger reads to mean the same.
func FuzzAccept(f *testing.F) {
	for _, q := range []*mint.Request{testRequest(), personRequest(), idRequest()} {
		f.Add(q.Append(nil))
	}
	for _, c := range hostileRequests() {
		f.Add(c.item)
	}
	now := time.Unix(1_790_000_000, 0)
	s := offline(now)
	f.Fuzz(func(t *testing.T, item []byte) {
		q, key, refusal := s.accept(item, now.Unix())
		if refusal != nil {
			if refusal.Code == "" || strings.Contains(refusal.Detail, "\n") {
				t.Fatalf("refusal %+v", refusal)
			}
			return
		}
		w := new(work)
		if w.build(0, q, key, now.Unix()) != nil {
			return
		}
		u := &w.unsigned[0]
		token, err := mint.ReadToken(u.Header, u.Payload)
		if err != nil {
			t.Fatalf("the ledger could not read it: %v\n%s", err, u.Payload)
		}
		p := s.tenantByID(q.Tenant).policy
		if token.Issuer != p.Issuer || token.Kind != q.Kind || !slices.Equal(key.record.Kinds, []string{string(token.Kind)}) || token.KID != key.record.KID ||
			token.Alg != "ES256" || token.IssuedAt != now.Unix() || token.Expires <= now.Unix() || token.Expires > now.Unix()+p.MaxLifetime ||
			token.AuthTime > now.Unix()+60 || len(token.Nonce) > 512 || len(token.AMR) > 8 {
			t.Fatalf("got %+v", token)
		}
		switch token.Kind {
		case mint.IDToken:
			wantIDToken(t, token, p)
		case mint.AccessToken:
			wantAccessToken(t, token, p)
		}
		if bytes.ContainsFunc(u.Payload, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x202e }) {
			t.Fatal("a control character in the payload")
		}
	})
}

func wantIDToken(t *testing.T, token *mint.Token, p mint.Policy) {
	t.Helper()
	if len(token.Audience) != 1 || !slices.Contains(p.Clients, token.Audience[0]) || token.AuthTime == 0 ||
		token.ClientID != "" || token.Scope != "" || token.KeyThumbprint != "" || token.Custom != nil {
		t.Fatalf("got %+v", token)
	}
}

func wantAccessToken(t *testing.T, token *mint.Token, p mint.Policy) {
	t.Helper()
	if !token.SignIn.IsZero() && !slices.Contains(p.Clients, token.ClientID) {
		t.Fatalf("somebody signed in to %+v", token)
	}
	if token.ClientID == "" || token.Nonce != "" || token.KeyThumbprint != "" && len(token.KeyThumbprint) != 43 {
		t.Fatalf("got %+v", token)
	}
	for _, a := range token.Audience {
		registered := slices.ContainsFunc(p.Audiences, func(known mint.Audience) bool { return known.ID == a })
		if !registered && (len(p.Clients) == 0 || a != p.Issuer+"/userinfo") {
			t.Fatalf("audience %q", a)
		}
	}
	for _, c := range token.Custom {
		if !slices.Contains(p.Claims, c.Name) {
			t.Fatalf("claim %q", c.Name)
		}
	}
}
