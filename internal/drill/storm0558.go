package drill

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"

	"seawall/validate"
	"seawall/validate/validatetest"
)

// storm0558 replays 2023: the attacker holds signing keys of a consumer issuer
// and of the enterprise issuer, one of them expired, and the key set in front
// of the enterprise API serves them all, as the real one did.
func storm0558(ctx context.Context, r *Range) ([]Step, error) {
	smuggled, err := newSmuggled(r)
	if err != nil {
		return nil, err
	}
	document, err := mixedDocument(ctx, r, r.Consumer.Stolen.JWK, r.Expired.JWK, smuggled.JWK)
	if err != nil {
		return nil, err
	}
	t, err := open(ctx, r, document)
	if err != nil {
		return nil, err
	}
	defer t.shut()
	s := &storm{ctx: ctx, r: r, t: t, smuggled: smuggled}
	if s.genuine, err = r.Enterprise.Token(ctx); err != nil {
		return nil, fmt.Errorf("getting a genuine token: %w", err)
	}
	for _, attack := range []func() error{
		s.control, s.consumerKey, s.expiredKey, s.smuggledKey, s.perfectForgery, s.stolenReceipt, s.otherLedger, s.otherForm, s.resigned, s.swappedDocuments,
		s.signIn, s.accessKeySignsIn, s.accessTokenSignsIn, s.idKeyAtTheAPI, s.idTokenAtTheAPI,
	} {
		if err := attack(); err != nil {
			return s.steps, err
		}
	}
	return s.steps, nil
}

type storm struct {
	ctx     context.Context
	r       *Range
	t       *target
	genuine string
	steps   []Step

	smuggled Stolen
}

// run sends a token to the API.
func (s *storm) run(name, attack, token string, want Verdict, note string) error {
	return s.runAt(s.t.api, name, attack, token, want, note)
}

func (s *storm) runAt(d door, name, attack, token string, want Verdict, note string) error {
	got, twin, err := s.t.try(s.ctx, d, token)
	if err != nil {
		return fmt.Errorf("step %q: %w", name, err)
	}
	s.steps = append(s.steps, Step{Name: name, Attack: attack, Want: want, Seawall: got, Twin: twin, Passed: got == want, Note: note})
	return nil
}

func refused(code validate.Code) Verdict { return Verdict{Code: string(code)} }

func (s *storm) control() error {
	return s.run("genuine token", "none: the issuer's own token", s.genuine, Verdict{Accepted: true}, "")
}

func (s *storm) forge(name, attack string, key Stolen, want validate.Code, note string) error {
	token, err := sign(header(key.KID), forgedClaims(s.r, "forged-"+name+"-0001"), key.Private)
	if err != nil {
		return err
	}
	return s.run(name, attack, token, refused(want), note)
}

func (s *storm) consumerKey() error {
	return s.forge("consumer key", "enterprise claims signed with the stolen consumer key, which the enterprise set lists",
		s.r.Consumer.Stolen, validate.CodeKeyIssuer, "the key is bound to its own issuer, wherever it is listed")
}

func (s *storm) expiredKey() error {
	return s.forge("expired key", "enterprise claims signed with a key whose time has passed, still listed",
		s.r.Expired, validate.CodeKeyExpired, "a key's not-after holds even while it is listed")
}

func (s *storm) smuggledKey() error {
	return s.forge("smuggled key", "enterprise claims signed with a key of the attacker's own, listed with a made-up statement",
		s.smuggled, validate.CodeKeyStatement, "a key counts only with a statement by the pinned ledger root")
}

func (s *storm) perfectForgery() error {
	return s.forge("perfect forgery", "enterprise claims signed with the enterprise issuer's own active key",
		s.r.Enterprise.Stolen, validate.CodeReceiptMissing, "no entry in the ledger, no token")
}

func (s *storm) stolenReceipt() error {
	head, _, _, err := parts(s.genuine)
	if err != nil {
		return err
	}
	rcpt, err := receiptOf(head)
	if err != nil {
		return err
	}
	return s.withReceipt("moved receipt", "a genuine receipt put on forged claims, signed with the active key",
		rcpt, validate.CodeReceiptMismatch, "a receipt covers one header and one set of claims")
}

func (s *storm) otherLedger() error {
	bare, claims := header(s.r.Enterprise.Stolen.KID), forgedClaims(s.r, "forged-receipt-0001")
	rcpt, err := foreignReceipt(bare, claims, s.r.Now())
	if err != nil {
		return err
	}
	token, err := sign(withReceipt(bare, rcpt), claims, s.r.Enterprise.Stolen.Private)
	if err != nil {
		return err
	}
	return s.run("other ledger key", "a well-made receipt by a ledger key that the pinned root never certified",
		token, refused(validate.CodeReceiptKey), "only the pinned root can name receipt keys")
}

func (s *storm) withReceipt(name, attack, rcpt string, want validate.Code, note string) error {
	token, err := sign(withReceipt(header(s.r.Enterprise.Stolen.KID), rcpt), forgedClaims(s.r, "forged-"+name+"-0001"), s.r.Enterprise.Stolen.Private)
	if err != nil {
		return err
	}
	return s.run(name, attack, token, refused(want), note)
}

const nothingGained = "the claims are those the ledger recorded: who could do this already held the token, and its identity is its jti and digest, never its bytes"

func (s *storm) otherForm() error {
	public, ok := s.r.Enterprise.Stolen.Private.Public().(*ecdsa.PublicKey)
	if !ok {
		return fmt.Errorf("the drill needs an ES256 key")
	}
	token, err := otherForm(s.genuine, public)
	if err != nil {
		return err
	}
	return s.run("rewritten signature", "a captured token with the other valid form of its own ECDSA signature", token, Verdict{Accepted: true}, nothingGained)
}

func (s *storm) resigned() error {
	head, claims, _, err := parts(s.genuine)
	if err != nil {
		return err
	}
	token, err := sign(head, claims, s.r.Enterprise.Stolen.Private)
	if err != nil {
		return err
	}
	return s.run("re-signed token", "a captured token signed again with the stolen active key", token, Verdict{Accepted: true}, nothingGained)
}

// swappedDocuments is a house that lies about everything it serves: its own key
// for the issuer, its own ledger, statements and receipts, all consistent.
func (s *storm) swappedDocuments() error {
	liar := validatetest.NewIssuer(validatetest.Config{URL: s.r.Enterprise.URL, Clock: validatetest.NewClock(s.r.Now())})
	token := liar.Token(validatetest.Claims{"sub": "chief-executive", "aud": s.r.Audience, "client_id": "mail"})
	fresh, err := open(s.ctx, s.r, liar.Keys())
	if err != nil {
		return err
	}
	defer fresh.shut()
	kept := s.t
	s.t = fresh
	defer func() { s.t = kept }()
	return s.run("swapped documents", "keys, ledger root, statements and receipts all replaced by the attacker's own, consistently",
		token, refused(validate.CodeLedgerPin), "trust comes from the pinned root, not from what the front end serves")
}

// A consumer key that signed enterprise tokens was a key used for what it was
// never meant for. Inside one issuer that can happen too: APIs and the
// applications that people sign in to trust the same key set.

func (s *storm) signIn() error {
	token, err := s.r.Enterprise.IDToken(s.ctx)
	if err != nil {
		return fmt.Errorf("getting a genuine ID token: %w", err)
	}
	return s.runAt(s.t.client, "genuine sign-in", "none: an ID token of the issuer's own, at the application that it is for", token, Verdict{Accepted: true}, "")
}

// mistake signs what a key is not for, or shows a token where it does not belong.
func (s *storm) mistake(d door, name, attack, typ string, claims []byte, key Stolen, want validate.Code, note string) error {
	token, err := sign(typedHeader(typ, key.KID), claims, key.Private)
	if err != nil {
		return err
	}
	return s.runAt(d, name, attack, token, refused(want), note)
}

func (s *storm) accessKeySignsIn() error {
	return s.mistake(s.t.client, "sign-in by the API's key", "an ID token for anybody, signed with the stolen key of access tokens",
		"JWT", forgedLogin(s.r, s.r.Client, "forged-sign-in-0001"), s.r.Enterprise.Stolen, validate.CodeKeyKind, "a key signs one family of tokens, and the ledger's root has said which")
}

func (s *storm) accessTokenSignsIn() error {
	return s.mistake(s.t.client, "sign-in by access token", "an access token shown to an application as if it told who signed in",
		"at+jwt", forgedLogin(s.r, s.r.Client, "forged-sign-in-0002"), s.r.Enterprise.Stolen, validate.CodeTyp, "an application takes ID tokens, and nothing that only looks like one")
}

func (s *storm) idKeyAtTheAPI() error {
	return s.mistake(s.t.api, "access by the sign-in key", "an access token signed with the stolen key of ID tokens",
		"at+jwt", forgedClaims(s.r, "forged-id-key-0001"), s.r.Enterprise.StolenID, validate.CodeKeyKind, "the same from the other side")
}

func (s *storm) idTokenAtTheAPI() error {
	return s.mistake(s.t.api, "access by ID token", "an ID token shown to an API as if it allowed something",
		"JWT", forgedLogin(s.r, s.r.Audience, "forged-id-token-0001"), s.r.Enterprise.StolenID, validate.CodeTyp, "it says who signed in, and is no permission to call anything")
}

// mixedDocument is the enterprise issuer's genuine set with more keys listed in
// it.
func mixedDocument(ctx context.Context, r *Range, more ...[]byte) ([]byte, error) {
	genuine, err := r.Enterprise.Keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("fetching the enterprise keys: %w", err)
	}
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(genuine, &doc); err != nil {
		return nil, fmt.Errorf("reading the enterprise keys: %w", err)
	}
	var keys []json.RawMessage
	if err := json.Unmarshal(doc["keys"], &keys); err != nil {
		return nil, fmt.Errorf("reading the enterprise keys: %w", err)
	}
	for _, k := range more {
		keys = append(keys, k)
	}
	if doc["keys"], err = json.Marshal(keys); err != nil {
		return nil, err
	}
	return json.Marshal(doc)
}

// newSmuggled is a key of the attacker's own with everything an enterprise key
// has; only its statement is made up.
func newSmuggled(r *Range) (Stolen, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Stolen{}, err
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return Stolen{}, err
	}
	now := r.Now().Unix()
	const kid = "smuggled"
	jwk, err := json.Marshal(map[string]any{
		"kty": "EC", "crv": "P-256", "x": b64.EncodeToString(point[1:33]), "y": b64.EncodeToString(point[33:]),
		"kid": kid, "use": "sig", "alg": "ES256", "issuer": r.Enterprise.URL, "token_kinds": []string{"at+jwt"},
		"nbf": now - 3600, "signing_ends": now + 86400, "exp": now + 90000,
		"ledger_statement": b64.EncodeToString(make([]byte, 64)),
	})
	return Stolen{KID: kid, Private: key, JWK: jwk}, err
}
