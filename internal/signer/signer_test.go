package signer

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"seawall/internal/keyring"
	"seawall/internal/mint"
)

func decode(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		t.Fatalf("not base64url: %v", err)
	}
	return b
}

// claims are what a token says to a reader who knows nothing of this program.
type claims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience any      `json:"aud"`
	ClientID string   `json:"client_id"`
	Scope    string   `json:"scope"`
	JTI      string   `json:"jti"`
	IssuedAt int64    `json:"iat"`
	Expires  int64    `json:"exp"`
	Dept     string   `json:"dept"`
	Teams    []string `json:"teams"`
}

// verify checks an access token of acme's.
func (b *bench) verify(token []byte) (kid string, c claims) {
	b.t.Helper()
	return b.verifyOf("acme", mint.AccessToken, token)
}

// verifyOf checks a token with the standard library and the published documents alone, as a validator would: signature
// under the key with its kid, receipt under a certified key, certificate and key statement under the root.
func (b *bench) verifyOf(tenant string, kind mint.Kind, token []byte) (kid string, c claims) {
	b.t.Helper()
	t := b.t
	keys := b.keys(tenant)
	parts := strings.Split(string(token), ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts", len(parts))
	}
	header, payload, sig := decode(t, parts[0]), decode(t, parts[1]), decode(t, parts[2])
	var h struct{ Alg, Typ, Kid, Rcpt string }
	if err := json.Unmarshal(header, &h); err != nil || h.Typ != string(kind) {
		t.Fatalf("header %s: %v", header, err)
	}
	i := slices.IndexFunc(keys.Keys, func(k mint.Key) bool { return k.KID == h.Kid })
	if i < 0 || keys.Keys[i].Alg != h.Alg || !slices.Equal(keys.Keys[i].Kinds, []string{h.Typ}) {
		t.Fatalf("no key %s with %s for %s is published", h.Kid, h.Alg, h.Typ)
	}
	k := &keys.Keys[i]
	if !verifyJWS(t, k, parts[0]+"."+parts[1], sig) {
		t.Fatal("the signature does not verify")
	}
	root := ed25519.PublicKey(decode(t, keys.Ledger.Root))
	if !b.signer.link.stated(k) || !verifyReceipt(t, &keys.Ledger, root, header, payload, h.Rcpt) {
		t.Fatal("the statement or the receipt does not verify")
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		t.Fatal(err)
	}
	if c.IssuedAt < k.NotBefore || c.IssuedAt >= k.SigningEnds || c.Expires > k.Expires {
		t.Fatal("the token is outside its key's dates")
	}
	return h.Kid, c
}

func verifyJWS(t *testing.T, k *mint.Key, input string, sig []byte) bool {
	t.Helper()
	digest := sha256.Sum256([]byte(input))
	number := func(name string) *big.Int { return new(big.Int).SetBytes(decode(t, k.JWK[name])) }
	switch k.Alg {
	case "ES256":
		point := append([]byte{4}, append(number("x").FillBytes(make([]byte, 32)), number("y").FillBytes(make([]byte, 32))...)...)
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		return err == nil && len(sig) == 64 && ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
	case "EdDSA":
		return ed25519.Verify(decode(t, k.JWK["x"]), []byte(input), sig)
	}
	public := &rsa.PublicKey{N: number("n"), E: int(number("e").Int64())}
	if k.Alg == "PS256" {
		return rsa.VerifyPSS(public, crypto.SHA256, digest[:], sig, &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256}) == nil
	}
	return k.Alg == "RS256" && rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], sig) == nil
}

// verifyReceipt follows docs/formats.md by hand.
func verifyReceipt(t *testing.T, doc *mint.Document, root ed25519.PublicKey, header, payload []byte, rcpt string) bool {
	t.Helper()
	if len(header) < 130 || string(header[len(header)-130:]) != `,"rcpt":"`+rcpt+`"}` {
		return false
	}
	bare := append(slices.Clone(header[:len(header)-130]), '}')
	r := decode(t, rcpt)
	hashed := []byte("seawall-receipt-v1\x00")
	for _, part := range [][]byte{bare, payload} {
		hashed = append(binary.BigEndian.AppendUint64(hashed, uint64(len(part))), part...)
	}
	digest := sha256.Sum256(hashed)
	signed := slices.Concat([]byte("seawall-receipt-signature-v1\x00"), r[:25], digest[:])
	for _, c := range doc.ReceiptKeys {
		id, public := decode(t, c.ID), decode(t, c.X)
		certified := slices.Concat([]byte("seawall-ledger-certificate-v1\x00"), id, public)
		certified = binary.BigEndian.AppendUint64(certified, uint64(c.NotBefore))
		certified = binary.BigEndian.AppendUint64(certified, uint64(c.Expires))
		if bytes.Equal(id, r[1:9]) {
			return r[0] == 1 && len(r) == 89 && ed25519.Verify(root, certified, decode(t, c.Certificate)) && ed25519.Verify(public, signed, r[25:])
		}
	}
	return false
}

func TestEveryAlgorithmVerifiesElsewhere(t *testing.T) {
	for _, alg := range []string{"ES256", "RS256", "PS256", "EdDSA"} {
		t.Run(alg, func(t *testing.T) {
			b := newBench(t)
			b.start()
			p := testPolicy()
			p.Algorithm = alg
			if applied := b.mustApply(p); applied.Version != 1 {
				t.Errorf("got %+v", applied)
			}
			b.want("acme", "activated staged")
			q := testRequest()
			token, err := b.mint(q)
			if err != nil {
				t.Fatal(err)
			}
			_, c := b.verify(token)
			want := claims{Issuer: q.Issuer, Subject: "ci", Audience: testAPI, ClientID: "ci", Scope: "read write", JTI: q.JTI,
				IssuedAt: b.clock.Now().Unix(), Expires: b.clock.Now().Unix() + 300, Dept: "a \"b\" é", Teams: []string{"x", "y"}}
			if fmt.Sprint(c) != fmt.Sprint(want) {
				t.Errorf("got %+v\nwant %+v", c, want)
			}
			if n := b.ledger.count(mint.TokenIssued); n != 1 {
				t.Errorf("%d entries for one token", n)
			}
		})
	}
}

func TestKeyRecords(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	keys := b.keys("acme").Keys
	now := b.clock.Now().Unix()
	for _, k := range keys {
		if k.Issuer != testIssuer || k.Family != mint.FamilyAccess || !slices.Equal(k.Kinds, []string{"at+jwt"}) {
			t.Errorf("got %+v", k)
		}
		if k.NotBefore != now-60 || k.SigningEnds != now+74*86400 || k.Expires != k.SigningEnds+86400+60 || k.PublishedAt != now {
			t.Errorf("dates of %+v", k)
		}
		if len(k.KID) != 22 || !strings.HasPrefix(k.Thumbprint, k.KID) {
			t.Errorf("the kid %s is not the beginning of the thumbprint %s", k.KID, k.Thumbprint)
		}
		if _, private := k.JWK["d"]; private || len(k.JWK) != 4 {
			t.Errorf("the JWK has other members than public ones: %d", len(k.JWK))
		}
	}
	if keys[0].Epoch != 2 || keys[1].Epoch != 1 {
		t.Errorf("epochs %d and %d", keys[0].Epoch, keys[1].Epoch)
	}
}

func TestABurstIsAnsweredItemByItem(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	var wg sync.WaitGroup
	var good, bad atomic.Int64
	for i := range 300 {
		wg.Go(func() {
			q := testRequest()
			if i%7 == 0 {
				q.Scope = "admin"
			}
			token, err := b.mint(q)
			if i%7 == 0 {
				if !errors.Is(err, mint.Refuse(mint.ScopeUnregistered, "")) {
					t.Errorf("got %v", err)
				}
				bad.Add(1)
				return
			}
			if err != nil {
				t.Errorf("minting: %v", err)
				return
			}
			var c claims
			if err := json.Unmarshal(decode(t, strings.Split(string(token), ".")[1]), &c); err != nil || c.JTI != q.JTI {
				t.Errorf("another request's token: %v", err)
			}
			good.Add(1)
		})
	}
	wg.Wait()
	if n := b.ledger.count(mint.TokenIssued); int64(n) != good.Load() || good.Load()+bad.Load() != 300 {
		t.Errorf("%d entries, %d tokens, %d refusals", n, good.Load(), bad.Load())
	}
}

func TestARetryKeepsItsTokenID(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	q := testRequest()
	for range 2 {
		token, err := b.mint(q)
		if err != nil {
			t.Fatal(err)
		}
		if _, c := b.verify(token); c.JTI != q.JTI {
			t.Fatal("another jti")
		}
		b.clock.pass(time.Second)
	}
	other := *q
	other.Scope = "read"
	_, err := b.mint(&other)
	wantCode(t, err, mint.JTIReused)
	// The same id in another tenant is another id.
	b.mustApply(otherPolicy())
	foreign := &mint.Request{Tenant: "rival", Issuer: otherPolicy().Issuer, Kind: mint.AccessToken, Subject: "x", ClientID: "x",
		Audience: []string{"https://api.rival.example"}, JTI: q.JTI, Lifetime: 60}
	if _, err := b.mint(foreign); err != nil {
		t.Fatal(err)
	}
}

func TestWithoutALedgerNothingIsSigned(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	before := b.ledger.count("")
	path := b.ledger.path
	b.ledger.with(func() { b.ledger.path = path + "-away" })
	b.ledger.hangUp()
	b.until("the link is down", func() bool { return !b.signer.link.isReady() })
	_, err := b.mint(testRequest())
	wantCode(t, err, mint.Unavailable)
	_, err = b.apply(otherPolicy())
	wantCode(t, err, mint.Unavailable)
	b.want("acme", "activated staged") // questions are answered
	var health mint.Health
	if err := b.house.CallJSON(b.context(), mint.MsgHealth, struct{}{}, &health); err != nil || health.Ledger {
		t.Errorf("health %+v, %v", health, err)
	}
	if n := b.ledger.count(""); n != before {
		t.Errorf("%d entries more", n-before)
	}
	b.ledger.with(func() { b.ledger.path = path })
	b.until("the link is up", func() bool { return b.signer.link.isReady() })
	if _, err := b.mint(testRequest()); err != nil {
		t.Fatal(err)
	}
}

func TestALostAnswerReleasesNothing(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	lost := false
	b.ledger.with(func() {
		b.ledger.lose = func(typ mint.MsgType) bool { first := !lost; lost = true; return first && typ == mint.MsgTokens }
	})
	q := testRequest()
	_, err := b.mint(q)
	wantCode(t, err, mint.Unavailable)
	token, err := b.mint(q) // the house asks again with the same id
	if err != nil {
		t.Fatal(err)
	}
	b.verify(token)
	if n := b.ledger.count(mint.TokenIssued); n != 2 {
		t.Errorf("%d entries: the recorded token that nobody got, and the one that was released, make 2", n)
	}
}

// A ledger's answer counts only if it is sealed for this connection, over the very tokens that were sent, and names a
// certified key.
func TestForgedAnswersAreNotSigned(t *testing.T) {
	forgeries := map[string]func(*testLedger) func([]byte) []byte{
		"another key": func(l *testLedger) func([]byte) []byte {
			return func(body []byte) []byte {
				_, key, _ := ed25519.GenerateKey(nil)
				id := mint.LedgerKeyID(key.Public().(ed25519.PublicKey))
				d := l.asked[0]
				return mint.AppendRecorded(nil, l.seal, id, l.head, []mint.Digest{d}, []mint.Recorded{{Receipt: mint.NewReceipt(key, id, l.head.Size-1, l.head.Millis, d)}})
			}
		},
		"the seal of another connection": func(l *testLedger) func([]byte) []byte {
			return func(body []byte) []byte {
				seal, _, _, err := mint.AnswerShare(l.root, mint.NewShare().Public())
				if err != nil {
					l.t.Error(err)
				}
				id := mint.LedgerKeyID(l.key.Public().(ed25519.PublicKey))
				d := l.asked[0]
				return mint.AppendRecorded(nil, seal, id, l.head, []mint.Digest{d}, []mint.Recorded{{Receipt: mint.NewReceipt(l.key, id, l.head.Size-1, l.head.Millis, d)}})
			}
		},
		"another token": func(l *testLedger) func([]byte) []byte {
			return func(body []byte) []byte {
				id := mint.LedgerKeyID(l.key.Public().(ed25519.PublicKey))
				d := mint.Digest{1}
				return mint.AppendRecorded(nil, l.seal, id, l.head, []mint.Digest{d}, []mint.Recorded{{Receipt: mint.NewReceipt(l.key, id, 0, l.head.Millis, d)}})
			}
		},
		"an altered receipt": func(*testLedger) func([]byte) []byte {
			return func(body []byte) []byte { body[80] ^= 1; return body }
		},
		"nothing": func(*testLedger) func([]byte) []byte { return func([]byte) []byte { return nil } },
	}
	for name, forgery := range forgeries {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.start()
			b.mustApply(testPolicy())
			b.ledger.with(func() { b.ledger.forge = forgery(b.ledger) })
			_, err := b.mint(testRequest())
			wantCode(t, err, mint.Unavailable)
			b.ledger.with(func() { b.ledger.forge = nil })
			b.until("a token is minted again", func() bool { _, err := b.mint(testRequest()); return err == nil })
		})
	}
}

// Whoever stands between signer and ledger can pass on the ledger's document, which is no secret. Without its root there is
// no seal, and nothing is asked of it.
func TestAnImpostorWithTheLedgersDocumentIsAskedNothing(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	_, impostor, _ := ed25519.GenerateKey(nil)
	before := b.ledger.count(mint.TokenIssued)
	b.ledger.with(func() { b.ledger.impostor = impostor })
	b.signer.link.doubt()
	_, err := b.mint(testRequest())
	wantCode(t, err, mint.Unavailable)
	if n := b.ledger.count(mint.TokenIssued); n != before {
		t.Errorf("the impostor was told of %d tokens", n-before)
	}
	b.ledger.with(func() { b.ledger.impostor = nil })
	b.until("the link is up", func() bool { return b.signer.link.isReady() })
	if _, err := b.mint(testRequest()); err != nil {
		t.Fatal(err)
	}
}

// A connection is greeted once: another seal in its middle would not fit the answers that are under way.
func TestAConnectionIsGreetedOnce(t *testing.T) {
	b := newBench(t)
	b.start()
	b.until("the link is up", b.signer.link.isReady)
	seal := b.signer.link.seal.Load()
	if err := b.signer.greet(b.context()); err != nil || seal == nil || b.signer.link.seal.Load() != seal {
		t.Errorf("the seal was changed (%v)", err)
	}
	b.signer.link.doubt()
	b.until("the link is up again", func() bool { return b.signer.link.isReady() && b.signer.link.seal.Load() != seal })
}

// Receipts that no validator would accept are not signed over, however well they are signed themselves.
func TestReceiptsOutsideTheirTimeAreNotSigned(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	l := b.signer.link
	good := func() mint.Receipt {
		id := mint.LedgerKeyID(b.ledger.key.Public().(ed25519.PublicKey))
		return mint.NewReceipt(b.ledger.key, id, 3, uint64(b.clock.Now().UnixMilli()), mint.Digest{})
	}
	head, iat := mint.Head{Size: 4}, b.clock.Now().Unix()
	if r := good(); !l.receiptFits(&r, iat, head) {
		t.Fatal("a good receipt is refused")
	}
	for name, fits := range map[string]func(*mint.Receipt) bool{
		"over a minute after iat":  func(r *mint.Receipt) bool { return l.receiptFits(r, iat-61, head) },
		"over a minute before iat": func(r *mint.Receipt) bool { return l.receiptFits(r, iat+61, head) },
		"beyond the log":           func(r *mint.Receipt) bool { return l.receiptFits(r, iat, mint.Head{Size: 3}) },
		"by an unknown key":        func(r *mint.Receipt) bool { r[1] ^= 1; return l.receiptFits(r, iat, head) },
		"after its key's window": func(r *mint.Receipt) bool {
			binary.BigEndian.PutUint64(r[17:], uint64(b.clock.Now().Add(401*day).UnixMilli()))
			return l.receiptFits(r, iat+401*86400, head)
		},
		"before its key's window": func(r *mint.Receipt) bool {
			binary.BigEndian.PutUint64(r[17:], uint64(b.clock.Now().Add(-2*time.Hour).UnixMilli()))
			return l.receiptFits(r, iat-7200, head)
		},
	} {
		if r := good(); fits(&r) {
			t.Errorf("a receipt %s fits", name)
		}
	}
	b.ledger.with(func() { b.ledger.late = 2 * time.Minute })
	_, err := b.mint(testRequest())
	wantCode(t, err, mint.ClockSkew)
	b.ledger.with(func() { b.ledger.late = time.Minute })
	if _, err := b.mint(testRequest()); err != nil {
		t.Errorf("a receipt a minute late: %v", err)
	}
}

func TestARefusalOfTheLedgerIsPassedOn(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	b.clock.jump(2 * time.Minute) // the ledger's clock is the same; let it have its own
	wrong := b.clock.Now().Add(-2 * time.Minute)
	b.ledger.with(func() { b.ledger.now = func() time.Time { return wrong } })
	_, err := b.mint(testRequest())
	wantCode(t, err, mint.ClockSkew)
	b.ledger.with(func() { b.ledger.now = b.clock.Now })
}

// Rotation is the most delicate moment: tokens are asked for all the time, and not one may fail.
func TestRotationUnderLoad(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	from := b.keys("acme").Keys[0].KID
	stop := make(chan struct{})
	var minting sync.WaitGroup
	var minted atomic.Int64
	for range 8 {
		minting.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := b.mint(testRequest()); err != nil {
					t.Errorf("minting during a rotation: %v", err)
					return
				}
				minted.Add(1)
			}
		})
	}
	for i := range 6 {
		n := minted.Load()
		b.until("tokens are minted", func() bool { return minted.Load() > n+50 })
		if i%2 == 0 {
			b.passBetweenTokens(keyring.PrePublication)
			var rotated mint.Rotated
			if err := b.house.CallJSON(b.context(), mint.MsgRotate, mint.Rotate{Tenant: "acme", Family: mint.FamilyAccess, Actor: "uid:0"}, &rotated); err != nil {
				t.Errorf("rotating: %v", err)
			} else if rotated.From != from {
				t.Errorf("rotated from %s, the active key is %s", rotated.From, from)
			}
			from = rotated.To
		} else {
			b.passBetweenTokens(30 * day)
			b.settled()
			from = b.signer.tenantByID("acme").signing[mint.FamilyAccess].record.KID
		}
	}
	close(stop)
	minting.Wait()
	b.clock.pass(day + time.Hour)
	b.settled()
	b.want("acme", "retired retired retired retired retired retired activated staged")
	if n := len(b.sealed("acme")); n != 2 {
		t.Errorf("%d private keys on the disk, want those of the active key and the spare", n)
	}
	if n := b.ledger.count(mint.TokenIssued); int64(n) != minted.Load() {
		t.Errorf("%d entries for %d tokens", n, minted.Load())
	}
}

// passBetweenTokens lets time go by while no token is half made: a day between its iat and its receipt would be too long.
func (b *bench) passBetweenTokens(d time.Duration) {
	b.signer.gate.Lock()
	defer b.signer.gate.Unlock()
	b.clock.pass(d)
}

func TestRotateNow(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	rotate := func(q mint.Rotate) error { return b.house.CallJSON(b.context(), mint.MsgRotate, q, new(mint.Rotated)) }
	q := mint.Rotate{Tenant: "acme", Family: mint.FamilyAccess, Actor: "uid:0"}
	err := rotate(q)
	wantCode(t, err, mint.SpareTooYoung)
	if when := b.clock.Now().Add(keyring.PrePublication).UTC().Format(time.RFC3339); !strings.Contains(err.Error(), when) {
		t.Errorf("%v does not say when: %s", err, when)
	}
	wantCode(t, rotate(mint.Rotate{Tenant: "nobody", Family: mint.FamilyAccess, Actor: "uid:0"}), mint.NotFound)
	wantCode(t, rotate(mint.Rotate{Tenant: "acme", Family: "identity", Actor: "uid:0"}), mint.NotFound)
	wantCode(t, rotate(mint.Rotate{Tenant: "acme", Family: mint.FamilyAccess}), mint.Malformed)
	b.clock.pass(keyring.PrePublication)
	if err := rotate(q); err != nil {
		t.Fatal(err)
	}
	b.want("acme", "verify-only activated staged")
	if n := len(b.sealed("acme")); n != 2 {
		t.Errorf("%d private keys on the disk after the old one was ended", n)
	}
}

// The private part of a key that signs no longer is gone: from the directory, and from the signer's memory.
func TestThePrivatePartEndsWithItsDuty(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	old := b.signer.tenantByID("acme").signing[mint.FamilyAccess]
	before := b.sealed("acme")
	handle, err := os.Open(b.file("keys", "acme", before[slices.IndexFunc(before, func(n string) bool { return strings.HasPrefix(n, old.record.KID) })]))
	if err != nil {
		t.Fatal(err)
	}
	defer handle.Close()
	b.clock.pass(30 * day)
	b.settled()
	if _, err := old.key.Sign(nil, make([]byte, 32), crypto.SHA256); err == nil {
		t.Error("the old key still signs")
	}
	for _, name := range b.sealed("acme") {
		if strings.HasPrefix(name, old.record.KID) {
			t.Errorf("%s is still there", name)
		}
	}
	var left bytes.Buffer
	if _, err := left.ReadFrom(handle); err != nil || len(bytes.Trim(left.Bytes(), "\x00")) != 0 {
		t.Errorf("the deleted file was not overwritten (%v)", err)
	}
}

func TestKeysAreToldByGenerationAndPage(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	ask := func(q mint.KeysQuery) *mint.Keys {
		t.Helper()
		keys, err := b.house.Keys(b.context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	first := ask(mint.KeysQuery{})
	if len(first.Keys) != 2 || first.Ledger.Root == "" {
		t.Fatalf("got %d keys", len(first.Keys))
	}
	if again := ask(mint.KeysQuery{After: first.Generation}); len(again.Keys) != 0 || again.Generation != first.Generation {
		t.Error("nothing changed, and yet there is something new")
	}
	b.mustApply(otherPolicy())
	if next := ask(mint.KeysQuery{After: first.Generation}); len(next.Keys) != 4 || next.Generation <= first.Generation {
		t.Errorf("got %d keys of generation %d after %d", len(next.Keys), next.Generation, first.Generation)
	}
	_, err := b.house.Keys(b.context(), mint.KeysQuery{Tenant: "nobody"})
	wantCode(t, err, mint.NotFound)

	// Pages: pretend there are many tenants.
	tenants := map[string]*tenant{}
	acme := b.signer.tenantByID("acme")
	for i := range 1000 {
		tenants[fmt.Sprintf("t%04d", i)] = acme
	}
	real := b.signer.tenants.Swap(&tenants)
	all := ask(mint.KeysQuery{})
	b.signer.tenants.Store(real)
	if len(all.Keys) != 2000 || all.More != "" {
		t.Errorf("got %d keys, more %q", len(all.Keys), all.More)
	}
}

func TestRestartKeepsEverything(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	b.clock.pass(40 * day)
	b.settled()
	before := b.keys("acme")
	b.restart()
	after := b.keys("acme")
	if fmt.Sprint(before.Keys) != fmt.Sprint(after.Keys) || fmt.Sprint(before.Ledger) != fmt.Sprint(after.Ledger) {
		t.Errorf("before %+v\nafter  %+v", before, after)
	}
	token, err := b.mint(testRequest())
	if err != nil {
		t.Fatal(err)
	}
	b.verify(token)
	if applied := b.mustApply(testPolicy()); applied.Version != 1 {
		t.Errorf("got %+v", applied)
	}
}

func TestTheDocumentFollowsTheLedger(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	before := b.keys("acme")
	b.ledger.with(b.ledger.newReceiptKey)
	b.until("a token under the new receipt key", func() bool { _, err := b.mint(testRequest()); return err == nil })
	after := b.keys("acme")
	if after.Ledger.ReceiptKeys[0].ID == before.Ledger.ReceiptKeys[0].ID || after.Generation == before.Generation {
		t.Error("the house was not told of the new receipt key")
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	if err := b.halt(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.mint(testRequest()); err == nil {
		t.Error("a token from a signer that ended")
	}
}

func TestAnotherLedgerIsRefused(t *testing.T) {
	b := newBench(t)
	b.start()
	b.mustApply(testPolicy())
	b.ledger.with(func() {
		b.ledger.found()
		b.ledger.lose = nil
	})
	if err := b.halt(); err != nil {
		t.Fatal(err)
	}
	b.wantEnd("was pinned at the first contact")
	if !strings.Contains(b.log.String(), "alarm: the ledger is not the one that was pinned") {
		t.Error("no alarm")
	}
}

func TestHostClockApart(t *testing.T) {
	b := newBench(t)
	b.ledger.with(func() { b.ledger.now = func() time.Time { return b.clock.Now().Add(-6 * time.Minute) } })
	b.start()
	_, err := b.apply(testPolicy())
	wantCode(t, err, mint.ClockFrozen)
	err = b.house.CallJSON(b.context(), mint.MsgClock, mint.ClockAccept{Actor: "uid:0"}, new(mint.ClockAccepted))
	wantCode(t, err, mint.ClockFrozen)
	if !strings.Contains(err.Error(), "6m0s apart") {
		t.Errorf("got %v", err)
	}
	b.ledger.with(func() { b.ledger.now = b.clock.Now })
	if err := b.house.CallJSON(context.Background(), mint.MsgClock, mint.ClockAccept{Actor: "uid:0"}, new(mint.ClockAccepted)); err != nil {
		t.Fatal(err)
	}
	b.mustApply(testPolicy())
}
