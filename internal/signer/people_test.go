package signer

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"seawall/internal/keyring"
	"seawall/internal/ledger"
	"seawall/internal/mint"
)

// family lists the last steps of a tenant's keys of one family.
func (b *bench) family(tenant string, family mint.Family) string {
	b.t.Helper()
	var states []string
	for _, k := range b.keys(tenant).Keys {
		if k.Family == family {
			states = append(states, strings.TrimPrefix(string(lastStep(&k)), "key."))
		}
	}
	return strings.Join(states, " ")
}

// both asks for an access token and an ID token at once, and returns them with what they say.
func (b *bench) both(access, id *mint.Request) (a, i []byte) {
	b.t.Helper()
	a, i, err := b.house.MintBoth(b.context(), access, id)
	if err != nil {
		b.t.Fatal(err)
	}
	return a, i
}

// TestBothKinds: one message, one commit of the ledger, two tokens under keys of two families, each saying exactly what it
// may.
func TestBothKinds(t *testing.T) {
	for _, alg := range []string{"ES256", "RS256", "PS256", "EdDSA"} {
		t.Run(alg, func(t *testing.T) {
			b := newBench(t)
			b.start()
			p := peoplePolicy()
			p.Algorithm = alg
			b.mustApply(p)
			messages := 0
			b.ledger.with(func() {
				b.ledger.lose = func(typ mint.MsgType) bool {
					if typ == mint.MsgTokens {
						messages++
					}
					return false
				}
			})
			access, id := personRequest(), idRequest()
			a, i := b.both(access, id)
			accessKey, _ := b.verifyOf("people", mint.AccessToken, a)
			idKey, _ := b.verifyOf("people", mint.IDToken, i)
			if accessKey == idKey {
				t.Error("one key signed both")
			}
			now := b.clock.Now().Unix()
			person := `"auth_time":` + strconv.FormatInt(access.AuthTime, 10) + `,"acr":"phr","amr":["hwk","user"],"sid":"session-7"`
			times := `","iat":` + strconv.FormatInt(now, 10) + `,"exp":` + strconv.FormatInt(now+300, 10) + `}`
			for token, want := range map[string]string{
				string(a): `{"iss":"https://id.example/people","sub":"ada","aud":["https://api.people.example","https://id.example/people/userinfo"],` +
					`"client_id":"web","scope":"openid profile read",` + person + `,"cnf":{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"},"jti":"` + access.JTI + times,
				string(i): `{"iss":"https://id.example/people","sub":"ada","aud":"web","nonce":"n-1",` + person + `,"jti":"` + id.JTI + times,
			} {
				if got := string(decode(t, strings.Split(token, ".")[1])); got != want {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
			}
			b.ledger.with(func() {
				if messages != 1 {
					t.Errorf("the ledger committed %d times", messages)
				}
			})
			if n := b.ledger.count(mint.TokenIssued); n != 2 {
				t.Errorf("%d entries for two tokens", n)
			}
		})
	}
}

// TestFamiliesComeWithTheFirstClient: a tenant without sign-in keeps the keys it has; one that has had it keeps both
// families in step with the clock, also without a client.
func TestFamiliesComeWithTheFirstClient(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	b.want("acme", "activated staged")
	_, err := b.mint(acmeID())
	wantCode(t, err, mint.ClientUnregistered)

	p := firstClient()
	b.mustApply(p)
	b.consistentFor("acme", testRequest(), acmeID())
	b.restart()
	b.consistentFor("acme", testRequest(), acmeID())
	for _, k := range b.keys("acme").Keys[2:] {
		if k.Family != mint.FamilyID || !slices.Equal(k.Kinds, []string{"JWT"}) {
			t.Errorf("got %+v", k)
		}
	}

	p.Version, p.Clients = 3, nil // the last client is disabled
	b.mustApply(p)
	_, err = b.mint(acmeID())
	wantCode(t, err, mint.ClientUnregistered)
	_, err = b.mint(testRequest())
	if err != nil {
		t.Fatal(err)
	}
	if states := b.family("acme", mint.FamilyID); states != "activated staged" {
		t.Errorf("keys for ID tokens are %q at once", states)
	}
	b.clock.pass(30 * day)
	b.settled()
	b.clock.pass(2 * day)
	b.settled()
	for _, family := range mint.Families() {
		if states := b.family("acme", family); states != "retired activated staged" {
			t.Errorf("keys of %s are %q after a month", family, states)
		}
	}
	p.Version, p.Clients = 4, []string{"next"}
	b.mustApply(p)
	q := acmeID()
	q.Audience = []string{"next"}
	token, err := b.mint(q)
	if err != nil {
		t.Fatal(err)
	}
	b.verifyOf("acme", mint.IDToken, token)
}

// TestAKeyThatCannotBeMadeHoldsNoPolicyUp: while the clock is frozen no key is made, but a client can be listed, and, what
// matters more, the tenant be disabled.
func TestAKeyThatCannotBeMadeHoldsNoPolicyUp(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	b.clock.jump(6 * time.Minute)
	b.settled()
	p := firstClient()
	b.mustApply(p)
	_, err := b.mint(acmeID())
	wantCode(t, err, mint.KeyUnavailable)
	if states := b.family("acme", mint.FamilyID); states != "" {
		t.Errorf("keys were made while the clock was frozen: %s", states)
	}
	if err := b.house.CallJSON(b.context(), mint.MsgClock, mint.ClockAccept{Actor: "uid:0"}, new(mint.ClockAccepted)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.mint(acmeID()); err != nil {
		t.Error(err)
	}
	p.Version, p.Disabled = 3, true
	b.mustApply(p)
	_, err = b.mint(acmeID())
	wantCode(t, err, mint.TenantDisabled)
}

// TestRotationOfOneFamily leaves the other as it is.
func TestRotationOfOneFamily(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(peoplePolicy())
	b.clock.pass(keyring.PrePublication)
	b.settled()
	var rotated mint.Rotated
	if err := b.house.CallJSON(b.context(), mint.MsgRotate, mint.Rotate{Tenant: "people", Family: mint.FamilyID, Actor: "uid:0"}, &rotated); err != nil {
		t.Fatal(err)
	}
	if id, access := b.family("people", mint.FamilyID), b.family("people", mint.FamilyAccess); id != "verify-only activated staged" || access != "activated staged" {
		t.Errorf("ID tokens: %q, access tokens: %q", id, access)
	}
	token, err := b.mint(idRequest())
	if err != nil {
		t.Fatal(err)
	}
	if kid, _ := b.verifyOf("people", mint.IDToken, token); kid != rotated.To {
		t.Errorf("signed with %s", kid)
	}
}

// TestAStolenKeyOfOneFamily: the trust in one key ends, its spare takes over, and the other family goes on as it was.
func TestAStolenKeyOfOneFamily(t *testing.T) {
	b := newBench(t)
	withRealLedger(b)
	b.start()
	b.mustApply(testPolicy())
	b.mustApply(firstClient())
	stolen := b.signer.tenantByID("acme").signing[mint.FamilyID].record.KID
	done, err := b.distrust(mint.KeyDistrust{KID: stolen, YoungSpare: true})
	if err != nil || done.Step != mint.KeySuspended {
		t.Fatalf("%+v, %v", done, err)
	}
	if id, access := b.family("acme", mint.FamilyID), b.family("acme", mint.FamilyAccess); id != "suspended activated staged" || access != "activated staged" {
		t.Errorf("ID tokens: %q, access tokens: %q", id, access)
	}
	for _, q := range []*mint.Request{testRequest(), acmeID()} {
		token, err := b.mint(q)
		if err != nil {
			t.Fatal(err)
		}
		if kid, _ := b.verifyOf("acme", q.Kind, token); q.Kind == mint.IDToken && kid != done.Signs {
			t.Errorf("signed with %s, and %s was to sign", kid, done.Signs)
		}
	}
}

// TestAnAPIOfThisNameKeepsItsScopes: should somebody have registered the UserInfo endpoint as an API, it does not lose
// what it has when it is needed.
func TestAnAPIOfThisNameKeepsItsScopes(t *testing.T) {
	p, ceilings := peoplePolicy(), DefaultCeilings()
	p.Audiences = append(p.Audiences, mint.Audience{ID: peopleIssuer + "/userinfo", Scopes: []string{"directory"}, MaxLifetime: 60})
	l := compile(&p, &ceilings)
	q := personRequest()
	q.Scope, q.Lifetime = "openid directory", 60
	if longest, r := l.checkAccess(q); r != nil || longest != 60 {
		t.Errorf("got %d s, %v", longest, r)
	}
}

// TestPeopleWithTheRealLedger: what the ledger that seawall runs has written of both kinds, and that its log verifies.
func TestPeopleWithTheRealLedger(t *testing.T) {
	b := newBench(t)
	r := withRealLedger(b)
	b.start()
	b.mustApply(testPolicy())
	b.mustApply(firstClient())
	b.mustApply(peoplePolicy())
	access, id := personRequest(), idRequest()
	b.both(access, id)
	var entries []mint.Entry
	err := ledger.Search(context.Background(), r.dir, ledger.Filter{Session: "session-7"}, nil, func(e mint.NumberedEntry) error {
		entries = append(entries, e.Entry)
		return nil
	})
	if err != nil || len(entries) != 2 {
		t.Fatalf("%d entries of the session, %v", len(entries), err)
	}
	for n, want := range []struct {
		kind, jti string
		audience  []string
	}{
		{"at+jwt", access.JTI, access.Audience},
		{"JWT", id.JTI, []string{"web"}},
	} {
		e := entries[n]
		if e.TokenKind != want.kind || e.JTI != want.jti || !slices.Equal(e.Audience, want.audience) || e.Client != "web" || e.Subject != "ada" ||
			e.Tenant != "people" || e.Digest == (mint.Digest{}) {
			t.Errorf("got %+v", e)
		}
	}
	b.clock.pass(30 * day)
	b.settled()
	report, err := ledger.Verify(context.Background(), r.dir, ledger.VerifyOptions{Pin: r.l.Pin()})
	if err != nil || !report.Good() {
		t.Errorf("the log does not verify: %+v, %v", report, err)
	}
}

// TestNoneWithoutTheOther: what one of the two is refused for leaves the house with neither.
func TestNoneWithoutTheOther(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(peoplePolicy())
	id := idRequest()
	id.Audience = []string{"gone"}
	a, i, err := b.house.MintBoth(b.context(), personRequest(), id)
	if !errors.Is(err, mint.Refuse(mint.ClientUnregistered, "")) || a != nil || i != nil {
		t.Errorf("got %v, and %d and %d bytes", err, len(a), len(i))
	}
}
