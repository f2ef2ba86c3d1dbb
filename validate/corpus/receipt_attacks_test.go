package corpus_test

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"maps"
	"math/big"
	"slices"
	"strings"

	"seawall/validate"
	"seawall/validate/corpus"
	"seawall/validate/internal/forge"
)

// Attacks on a seawall issuer by somebody who holds its signing key: the ledger's receipts and
// statements are what remains.

// wall is a seawall issuer for the cases.
type wall struct {
	*generator
	ledger *forge.Ledger
	key    *forge.Key
}

const wallIssued = now - 600

func newWall(g *generator) *wall {
	w := &wall{generator: g, ledger: forge.NewLedger(now-9000, now+9000), key: forge.NewKey("ES256", "wall")}
	w.key.Issuer, w.key.Kinds = wallName, []string{"at+jwt"}
	w.key.NotBefore, w.key.SigningEnds, w.key.Expires = now-9000, now+9000, now+18000
	w.serve("wall", w.ledger.Document(), w.ledger.JWK(w.key))
	return w
}

// serve adds a validator that pins the ledger and is served this document.
func (w *wall) serve(name string, ledger object, jwks ...object) {
	w.validator(name, func(v *corpus.Validator) {
		v.Issuers = []corpus.Issuer{{Issuer: wallName, Pin: w.ledger.Pin(), JWKS: forge.Set(ledger, jwks...)}}
	})
}

func wallClaims(changes ...object) []byte {
	c := claims(object{"iss": wallName, "tid": nil})
	for _, change := range changes {
		maps.Copy(c, change)
	}
	return forge.JSON(c)
}

func wallHeader() []byte { return forge.Header("ES256", "at+jwt", "wall") }

// issue gives a token as the issuer would make it.
func (w *wall) issue(changes ...object) string {
	return w.ledger.Token(w.key, wallHeader(), wallClaims(changes...), 7, wallIssued*1000)
}

// receipt gives the receipt for the standard token at a time in milliseconds.
func (w *wall) receipt(ms int64) string {
	return w.ledger.Receipt(wallHeader(), wallClaims(), 7, ms)
}

// with signs the standard claims under a header with this receipt.
func (w *wall) with(receipt string) string {
	return w.key.Sign(forge.WithReceipt(wallHeader(), receipt), wallClaims())
}

func receiptAttacks(g *generator) {
	w := newWall(g)
	g.accept("good", "wall", w.issue(), "valid")
	g.accept("rewritten signature", "wall", forge.OtherForm(w.issue()), "a captured token in its other form: nothing is gained")
	g.refuse(validate.CodeSignature, "signature of another key", "wall", w.ledger.Token(&forge.Key{Alg: "ES256", Signer: g.keys["attacker"].Signer}, wallHeader(), wallClaims(), 7, wallIssued*1000), "a receipt alone is not enough")
	g.refuse(validate.CodeReceiptMissing, "none", "wall", w.key.Sign(wallHeader(), wallClaims()), "a perfect forgery with the stolen key")
	genuine := w.receipt(wallIssued * 1000)
	forged := func(name string, header, payload []byte, reason string) {
		g.refuse(validate.CodeReceiptMismatch, name, "wall", w.key.Sign(forge.WithReceipt(header, genuine), payload), reason)
	}
	forged("on other claims", wallHeader(), wallClaims(object{"sub": "admin"}), "a genuine receipt of another token")
	forged("on later claims", wallHeader(), wallClaims(object{"exp": now + 4000}), "a genuine receipt of a token that ends earlier")
	forged("on claims with a space", wallHeader(), append(wallClaims(), ' '), "the same claims in other bytes")
	forged("on another header", []byte(`{"typ":"at+jwt","alg":"ES256","kid":"wall"}`), wallClaims(), "the same header in another order")
	forged("on a longer header", []byte(`{"alg":"ES256","typ":"at+jwt","kid":"wall","x":1}`), wallClaims(), "a member more in the header")
	forged("on another type", []byte(`{"alg":"ES256","typ":"application/at+jwt","kid":"wall"}`), wallClaims(), "the same type in other words")

	other := forge.NewLedger(now-9000, now+9000)
	g.refuse(validate.CodeReceiptKey, "by another ledger", "wall", w.key.Sign(forge.WithReceipt(wallHeader(), other.Receipt(wallHeader(), wallClaims(), 7, wallIssued*1000)), wallClaims()), "a ledger key that nobody has certified")
	served := func(code validate.Code, name string, change func(ledger, key object), reason string) {
		key := other.ReceiptKey()
		doc := w.ledger.Document()
		doc["receipt_keys"] = []any{w.ledger.ReceiptKey(), key}
		change(doc, key)
		w.serve(name, doc, w.ledger.JWK(w.key))
		g.refuse(code, name, name, w.key.Sign(forge.WithReceipt(wallHeader(), other.Receipt(wallHeader(), wallClaims(), 7, wallIssued*1000)), wallClaims()), reason)
	}
	mine := forge.Ledger{Root: w.ledger.Root, Receipts: other.Receipts, NotBefore: now - 9000, Expires: now + 9000}
	served(validate.CodeReceiptKey, "certified by another root", func(_, _ object) {}, "certified, but not by the pinned root")
	served(validate.CodeReceiptKey, "certificate of another key", func(_, k object) { k["certificate"] = w.ledger.ReceiptKey()["certificate"] }, "a certificate of another key")
	served(validate.CodeReceiptKey, "window changed", func(_, k object) { maps.Copy(k, mine.ReceiptKey()); k["exp"] = now + 90000 }, "the certificate is for another window")
	served(validate.CodeReceiptKey, "id changed", func(_, k object) { maps.Copy(k, mine.ReceiptKey()); k["id"] = w.ledger.ReceiptKey()["id"] }, "the id is not the key's")
	served(validate.CodeReceiptKey, "no certificate", func(_, k object) { maps.Copy(k, mine.ReceiptKey()); delete(k, "certificate") }, "no certificate")
	ended := mine
	ended.Expires = wallIssued
	served(validate.CodeReceiptTime, "after the window", func(_, k object) { maps.Copy(k, ended.ReceiptKey()) }, "a leaked old ledger key")
	begun := mine
	begun.NotBefore = wallIssued + 1
	served(validate.CodeReceiptTime, "before the window", func(_, k object) { maps.Copy(k, begun.ReceiptKey()) }, "a ledger key that is not in use yet")

	at := func(code validate.Code, name string, ms int64, reason string) {
		if code == "" {
			g.accept(name, "wall", w.with(w.receipt(ms)), reason)
		} else {
			g.refuse(code, name, "wall", w.with(w.receipt(ms)), reason)
		}
	}
	at("", "a minute later", wallIssued*1000+60000, "within 60 seconds of iat")
	at("", "a minute earlier", wallIssued*1000-60000, "within 60 seconds of iat")
	at(validate.CodeReceiptTime, "more than a minute later", wallIssued*1000+60001, "too far from iat")
	at(validate.CodeReceiptTime, "more than a minute earlier", wallIssued*1000-60001, "too far from iat")
	at(validate.CodeReceiptTime, "at the end of time", -1, "a time that overflows")

	text := func(name, header, reason string) {
		g.refuse(validate.CodeReceiptForm, name, "wall", w.key.Sign([]byte(header), wallClaims()), reason)
	}
	good := string(forge.WithReceipt(wallHeader(), genuine))
	text("not last", strings.Replace(good, `"rcpt":"`+genuine+`"`, `"rcpt":"`+genuine+`","x":1`, 1), "not the last member")
	text("first", `{"rcpt":"`+genuine+`",`+string(wallHeader())[1:], "not the last member")
	text("space before the end", good[:len(good)-1]+" }", "not in its one form")
	text("space after the end", good+" ", "not in its one form")
	text("space after the colon", strings.Replace(good, `"rcpt":`, `"rcpt": `, 1), "not in its one form")
	text("space before the name", strings.Replace(good, `,"rcpt"`, `, "rcpt"`, 1), "not in its one form")
	text("escaped name", strings.Replace(good, `"rcpt"`, `"rcp\u0074"`, 1), "not in its one form")
	text("escaped value", strings.Replace(good, genuine[:1], `\u0041`, 1), "not in its one form")
	text("nested too", `{"x":{"rcpt":1},`+good[1:], "the name occurs elsewhere as well")
	text("only nested", strings.Replace(string(wallHeader()), `{`, `{"x":{"rcpt":"`+genuine+`"},`, 1), "the name occurs elsewhere")
	text("null", string(wallHeader()[:len(wallHeader())-1])+`,"rcpt":null}`, "not a text")
	text("object", string(wallHeader()[:len(wallHeader())-1])+`,"rcpt":{"a":"`+strings.Repeat("A", 111)+`"}}`, "not a text")
	text("empty", string(forge.WithReceipt(wallHeader(), "")), "not 119 characters")
	text("short", string(forge.WithReceipt(wallHeader(), genuine[:118])), "not 119 characters")
	text("long", string(forge.WithReceipt(wallHeader(), genuine+"A")), "not 119 characters")
	text("spare bits", string(forge.WithReceipt(wallHeader(), genuine[:118]+next(genuine, 1))), "a second spelling")
	text("other version", string(forge.WithReceipt(wallHeader(), "Ag"+genuine[2:])), "version 2")
	text("standard alphabet", string(forge.WithReceipt(wallHeader(), genuine[:40]+"+"+genuine[41:])), "the other alphabet")
	g.refuse(validate.CodeJSON, "twice", "wall", w.key.Sign([]byte(good[:len(good)-1]+`,"rcpt":"`+genuine+`"}`), wallClaims()), "a member twice")
	g.refuse(validate.CodeReceiptMissing, "in the payload", "wall", w.key.Sign(wallHeader(), wallClaims(object{"rcpt": genuine})), "receipts stand in the header")
	g.refuse(validate.CodeReceiptMismatch, "signature zero", "wall", w.with(genuine[:34]+strings.Repeat("A", 85)), "a receipt without a signature")
	g.refuse(validate.CodeReceiptMismatch, "another number", "wall", w.with(w.receiptBytes(genuine, 12)), "the number of the entry is signed too")
	g.refuse(validate.CodeReceiptMismatch, "another time", "wall", w.with(w.receiptBytes(genuine, 24)), "the time is signed too")
}

// receiptBytes changes one byte of a receipt by one.
func (w *wall) receiptBytes(receipt string, at int) string {
	_, b := forge.SplitSignature("." + receipt)
	b[at] ^= 1
	return forge.Text(b)
}

func statementAttacks(g *generator) {
	w := newWall(g)
	g.accept("good", "wall", w.issue(), "valid")
	served := func(code validate.Code, name string, change func(jwk object), reason string) {
		jwk := w.ledger.JWK(w.key)
		change(jwk)
		w.serve(name, w.ledger.Document(), jwk)
		g.refuse(code, name, name, w.issue(), reason)
	}
	const no = validate.CodeKeyStatement
	served(no, "none", func(k object) { delete(k, "ledger_statement") }, "the pinned ledger does not vouch for the key")
	served(no, "garbage", func(k object) { k["ledger_statement"] = "x" }, "not a signature")
	served(no, "window stretched", func(k object) { k["exp"] = now + 99999 }, "exp is not what the ledger signed")
	served(no, "window moved", func(k object) { k["nbf"] = 0 }, "nbf is not what the ledger signed")
	served(no, "signing stretched", func(k object) { k["signing_ends"] = now + 99999 }, "signing_ends is not what the ledger signed")
	served(no, "kinds added", func(k object) { k["token_kinds"] = []string{"at+jwt", "id"} }, "token_kinds are not what the ledger signed")
	served(no, "kinds missing", func(k object) { delete(k, "token_kinds") }, "a key without kinds")
	served(no, "exp missing", func(k object) { delete(k, "exp") }, "a key without an end")
	served(no, "exp in another form", func(k object) { k["exp"] = jsonNumber("1790018000.0") }, "times are whole numbers")
	served(no, "alg missing", func(k object) { delete(k, "alg") }, "a key for any algorithm")
	served(validate.CodeKeyIssuer, "issuer missing", func(k object) { delete(k, "issuer") }, "a key for anybody")
	served(validate.CodeKeyIssuer, "consumer issuer", func(k object) { k["issuer"] = "https://consumer.example" }, "Storm-0558: a key of another issuer in this one's set")
	served(validate.CodeKeyIssuer, "template issuer", func(k object) { k["issuer"] = "https://id.example/{tenantid}" }, "a seawall key names one issuer")
	served(validate.CodeKeyRevoked, "revoked", func(k object) { k["revoked"] = object{} }, "the set marks the key")
	served(no, "key swapped", func(k object) { maps.Copy(k, g.keys["attacker"].Public()) }, "a statement for another key")

	other := *w.key
	other.ID = "renamed"
	served(no, "of another kid", func(k object) { k["ledger_statement"] = w.ledger.JWK(&other)["ledger_statement"] }, "a statement for another name")
	root := forge.NewLedger(now-9000, now+9000)
	served(no, "by another root", func(k object) { k["ledger_statement"] = root.JWK(w.key)["ledger_statement"] }, "another ledger vouches")
	consumer := *w.key
	consumer.Issuer = "https://consumer.example"
	served(validate.CodeKeyIssuer, "genuine for the consumer issuer", func(k object) { maps.Copy(k, w.ledger.JWK(&consumer)) }, "Storm-0558 with a genuine statement")
	served(no, "of the consumer issuer under this name", func(k object) { k["ledger_statement"] = w.ledger.JWK(&consumer)["ledger_statement"] }, "a statement for another issuer")
	timed := func(code validate.Code, name string, nbf, ends, exp int64, reason string) {
		key := *w.key
		key.NotBefore, key.SigningEnds, key.Expires = nbf, ends, exp
		w.serve(name, w.ledger.Document(), w.ledger.JWK(&key))
		g.refuse(code, name, name, w.issue(), reason)
	}
	timed(validate.CodeKeyExpired, "expired", now-9000, now-500, now, "the key's window ended")
	timed(validate.CodeKeyNotYetValid, "not yet valid", now+1, now+9000, now+18000, "the key's window has not begun")
	timed(validate.CodeKeySigningEnded, "signing ended", now-9000, wallIssued, now+18000, "issued at the end of the key's signing time")
	timed(validate.CodeKeyOutlived, "outlived", now-9000, now+1, now+2999, "the token ends after its key")
	kinds := *w.key
	kinds.Kinds = []string{"id+jwt"}
	w.serve("kind", w.ledger.Document(), w.ledger.JWK(&kinds))
	g.refuse(validate.CodeKeyKind, "other kind", "kind", w.issue(), "a key for ID tokens")

	// Whoever serves the documents swaps them, keys and ledger together.
	swap := newWall(g)
	w.serve("swapped", swap.ledger.Document(), swap.ledger.JWK(swap.key))
	g.refuse(validate.CodeLedgerPin, "documents swapped", "swapped", swap.issue(), "another root than the pinned one")
	w.serve("no ledger", nil, w.ledger.JWK(w.key))
	g.refuse(validate.CodeLedgerPin, "ledger taken out", "no ledger", w.issue(), "a document without a ledger")
	mixed := w.ledger.Document()
	mixed["root"] = swap.ledger.Document()["root"]
	w.serve("root swapped", mixed, w.ledger.JWK(w.key))
	g.refuse(validate.CodeLedgerPin, "root swapped", "root swapped", w.issue(), "another root than the pinned one")
	g.validator("foreign", func(v *corpus.Validator) {
		v.Issuers = []corpus.Issuer{{Issuer: wallName, JWKS: forge.Set(w.ledger.Document(), w.ledger.JWK(w.key))}}
	})
	g.refuse(validate.CodeLedgerAnnounced, "configured as foreign", "foreign", w.key.Sign(wallHeader(), wallClaims()), "an issuer with a ledger can't be used without its pin")
	w.serve("wall", w.ledger.Document(), w.ledger.JWK(w.key))
}

// familyAttacks are by somebody who has the keys of a seawall issuer's one family of tokens, and wants to be believed in the
// other: the ledger's root has said of each key what it is for.
func familyAttacks(g *generator) {
	w := newWall(g)
	people := forge.NewKey("ES256", "people")
	people.Issuer, people.Kinds = wallName, []string{"JWT"}
	people.NotBefore, people.SigningEnds, people.Expires = w.key.NotBefore, w.key.SigningEnds, w.key.Expires
	serve := func(name string, change func(access, id object)) {
		access, id := w.ledger.JWK(w.key), w.ledger.JWK(people)
		change(access, id)
		w.serve(name, w.ledger.Document(), access, id)
		at := g.doc.Validators[name]
		at.Types, at.Audiences = []string{"JWT"}, []string{"web-shop"}
		g.doc.Validators[name+" client"] = at
	}
	serve("wall", func(_, _ object) {})
	says := func(changes ...object) []byte {
		return forge.JSON(claims(append([]object{{"iss": wallName, "tid": nil}}, changes...)...))
	}
	issue := func(k *forge.Key, typ string, changes ...object) string {
		return w.ledger.Token(k, forge.Header("ES256", typ, k.ID), says(changes...), 7, wallIssued*1000)
	}
	login := object{"aud": "web-shop", "client_id": nil, "scope": nil, "nonce": "n-1", "auth_time": wallIssued - 60}
	g.accept("good access token", "wall", issue(w.key, "at+jwt"), "valid")
	g.accept("good ID token", "wall client", issue(people, "JWT", login), "valid, for the client")
	g.refuse(validate.CodeKeyKind, "ID token by the access key", "wall client", issue(w.key, "JWT", login), "recorded, signed, and by a key for other tokens")
	g.refuse(validate.CodeKeyKind, "access token by the ID key", "wall", issue(people, "at+jwt"), "recorded, signed, and by a key for other tokens")
	g.refuse(validate.CodeTyp, "ID token at the API", "wall", issue(people, "JWT", login, object{"aud": audience}), "says who signed in, and allows nothing")
	g.refuse(validate.CodeTyp, "access token at the client", "wall client", issue(w.key, "at+jwt", object{"aud": "web-shop"}), "allows something, and says nobody signed in")
	g.refuse(validate.CodeReceiptMissing, "ID token that nobody recorded", "wall client", people.Sign(forge.Header("ES256", "JWT", "people"), says(login)), "a perfect forgery with the stolen key")
	for name, kinds := range map[string]any{"other": []string{"JWT"}, "more": []string{"at+jwt", "JWT"}} {
		serve("access key with "+name+" kinds", func(access, _ object) { access["token_kinds"] = kinds })
		g.refuse(validate.CodeKeyStatement, "access key with "+name+" kinds", "access key with "+name+" kinds client", issue(w.key, "JWT", login), "token_kinds are not what the ledger signed")
	}
}

// flip changes one bit.
func flip(sig []byte, at int) []byte {
	sig = slices.Clone(sig)
	sig[at] ^= 4
	return sig
}

// der writes a JWS ECDSA signature as ASN.1.
func der(sig []byte) []byte {
	b, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])})
	if err != nil {
		panic(err)
	}
	return b
}

func sum512(text string) []byte {
	sum := sha512.Sum512([]byte(text))
	return sum[:]
}

// saltless makes a PSS signature without a salt (RFC 8017 §9.1.1), which crypto/rsa can't.
func saltless(key *rsa.PrivateKey, digest []byte) []byte {
	h := sha256.New()
	h.Write(make([]byte, 8))
	h.Write(digest)
	hash := h.Sum(nil)
	size := key.Size()
	db := make([]byte, size-len(hash)-1)
	db[len(db)-1] = 1
	for i, counter := 0, uint32(0); i < len(db); counter++ {
		mask := sha256.Sum256(append(slices.Clone(hash), byte(counter>>24), byte(counter>>16), byte(counter>>8), byte(counter)))
		for _, b := range mask {
			if i < len(db) {
				db[i] ^= b
				i++
			}
		}
	}
	db[0] &= 0x7f
	em := append(append(db, hash...), 0xbc)
	m := new(big.Int).SetBytes(em)
	return m.Exp(m, key.D, key.N).FillBytes(make([]byte, size))
}
