package corpus_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"slices"

	"seawall/validate"
	"seawall/validate/corpus"
	"seawall/validate/internal/forge"
)

// Attacks with keys and signatures: rules 5 and 6.

func keyAttacks(g *generator) {
	sign := func(kid string) string { return g.token(kid, header("ES256", kid), claims()) }
	other := sign("other")
	// served adds a key with changed members to the set and refuses its token.
	served := func(code validate.Code, name string, change object, reason string) {
		jwk := g.keys["other"].JWK()
		for member, value := range change {
			jwk[member] = value
		}
		g.withKeys(name, jwk)
		if code == "" {
			g.accept(name, name, other, reason)
		} else {
			g.refuse(code, name, name, other, reason)
		}
	}
	g.refuse(validate.CodeKeyUnknown, "unknown", "work", sign("attacker"), "no such key")
	g.refuse(validate.CodeKeyExpired, "expired", "work", sign("old"), "Storm-0558: the key's window ended")
	g.refuse(validate.CodeKeyNotYetValid, "not yet valid", "work", sign("next"), "the key is published ahead of its use")
	g.refuse(validate.CodeKeyRevoked, "revoked", "work", sign("gone"), "the set marks the key")
	served("", "exp in a second", object{"exp": now + 1}, "the window is still open")
	served(validate.CodeKeyExpired, "exp now", object{"exp": now}, "the window has no leeway")
	served(validate.CodeKeyExpired, "exp a fraction ago", object{"exp": now - 0.5}, "the window has no leeway")
	served(validate.CodeKeyExpired, "exp negative", object{"exp": -1}, "long ago")
	served("", "nbf now", object{"nbf": now}, "the window has begun")
	served(validate.CodeKeyNotYetValid, "nbf in a second", object{"nbf": now + 1}, "the window has no leeway")
	served(validate.CodeKeyUnusable, "exp is text", object{"exp": "9999999999"}, "a window that can't be read")
	served(validate.CodeKeyUnusable, "exp null", object{"exp": null}, "a window that can't be read")
	served(validate.CodeKeyUnusable, "nbf is an object", object{"nbf": object{}}, "a window that can't be read")
	served("", "exp beyond int64", object{"exp": jsonNumber("99999999999999999999")}, "very far ahead, but a number")
	served(validate.CodeKeyRevoked, "revoked empty", object{"revoked": object{}}, "marked as revoked")
	served(validate.CodeKeyRevoked, "revoked false", object{"revoked": false}, "marked in a form that nobody should use")
	served(validate.CodeKeyUnusable, "use enc", object{"use": "enc"}, "a key for encryption")
	served(validate.CodeKeyUnusable, "use upper case", object{"use": "SIG"}, "not sig")
	served(validate.CodeKeyUnusable, "use null", object{"use": null}, "not sig")
	served("", "ops verify", object{"key_ops": []string{"verify"}}, "may verify")
	served(validate.CodeKeyUnusable, "ops sign", object{"key_ops": []string{"sign"}}, "may not verify")
	served(validate.CodeKeyUnusable, "ops empty", object{"key_ops": []string{}}, "may do nothing")
	served(validate.CodeKeyUnusable, "ops text", object{"key_ops": "verify"}, "not a list")
	served(validate.CodeKeyUnusable, "ops mixed", object{"key_ops": []any{"verify", 1}}, "not a list of texts")
	served(validate.CodeKeyAlg, "alg es384", object{"alg": "ES384"}, "for another algorithm")
	served(validate.CodeKeyAlg, "alg lower case", object{"alg": "es256"}, "for another algorithm")
	served(validate.CodeKeyUnusable, "alg number", object{"alg": 256}, "an algorithm that can't be read")
	served(validate.CodeKeyUnknown, "kid number", object{"kid": 7}, "a key without a name")
	served(validate.CodeKeyUnusable, "private", object{"d": "AAAA"}, "its private half is public")
	served("", "unknown members", object{"x5t": "abc", "x5c": []string{"MIIB"}, "ext": true}, "unknown members are ignored")

	twice := *g.keys["attacker"]
	twice.ID, twice.Issuer = "other", workName
	g.withKeys("two usable", g.keys["other"].JWK(), twice.JWK())
	g.refuse(validate.CodeKeyAmbiguous, "two usable of one name", "two usable", other, "exactly one key must have the name")
	over := twice
	window(&over, now-9000, now-1000)
	g.withKeys("one expired", over.JWK(), g.keys["other"].JWK())
	g.accept("one expired of one name", "one expired", other, "a key that can't be used does not spoil the rest")
	g.refuse(validate.CodeSignature, "expired one of two", "one expired", twice.Sign(forge.JSON(header("ES256", "other")), forge.JSON(claims())), "the usable key did not sign this")
	off := twice.JWK()
	off["y"] = off["x"]
	g.withKeys("one off curve", off, g.keys["other"].JWK())
	g.accept("one unusable of one name", "one off curve", other, "a key that can't be used does not spoil the rest")
	g.validator("no keys", func(v *corpus.Validator) { v.Issuers[0].JWKS = forge.Set(nil) })
	g.refuse(validate.CodeKeyUnknown, "empty set", "no keys", other, "no keys, no tokens")
}

// jsonNumber is a number that Go has no type for.
type jsonNumber string

// MarshalJSON gives the number as it is.
func (n jsonNumber) MarshalJSON() ([]byte, error) { return []byte(n), nil }

func weakKeyAttacks(g *generator) {
	jwk := func(kid string, members object) object {
		k := object{"kid": kid, "use": "sig"}
		for name, value := range members {
			k[name] = value
		}
		return k
	}
	point := g.keys["other"].Public()
	weakRSA, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		panic(err)
	}
	modulus := g.keys["rs"].Signer.Public().(*rsa.PublicKey).N
	even := new(big.Int).Add(modulus, big.NewInt(1))
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		panic(err)
	}
	point384, err := p384.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	zero32, p256 := make([]byte, 32), elliptic.P256().Params()
	unreduced := new(big.Int).Add(p256.P, big.NewInt(1)).FillBytes(zero32[:32:32])
	keys := []object{
		jwk("rsa-1024", object{"kty": "RSA", "n": forge.Text(weakRSA.N.Bytes()), "e": "AQAB"}),
		jwk("rsa-e1", object{"kty": "RSA", "n": forge.Text(modulus.Bytes()), "e": "AQ"}),
		jwk("rsa-e2", object{"kty": "RSA", "n": forge.Text(modulus.Bytes()), "e": "Ag"}),
		jwk("rsa-e-even", object{"kty": "RSA", "n": forge.Text(modulus.Bytes()), "e": "AQAA"}),
		jwk("rsa-e-huge", object{"kty": "RSA", "n": forge.Text(modulus.Bytes()), "e": "AQAAAAAAAAAB"}),
		jwk("rsa-e-missing", object{"kty": "RSA", "n": forge.Text(modulus.Bytes())}),
		jwk("rsa-n-even", object{"kty": "RSA", "n": forge.Text(even.Bytes()), "e": "AQAB"}),
		jwk("rsa-n-padded", object{"kty": "RSA", "n": forge.Text(modulus.Bytes()) + "==", "e": "AQAB"}),
		jwk("ec-off-curve", object{"kty": "EC", "crv": "P-256", "x": point["x"], "y": point["x"]}),
		jwk("ec-zero", object{"kty": "EC", "crv": "P-256", "x": forge.Text(make([]byte, 32)), "y": forge.Text(make([]byte, 32))}),
		jwk("ec-unreduced", object{"kty": "EC", "crv": "P-256", "x": forge.Text(unreduced), "y": point["y"]}),
		jwk("ec-short", object{"kty": "EC", "crv": "P-256", "x": forge.Text(make([]byte, 31)), "y": point["y"]}),
		jwk("ec-no-y", object{"kty": "EC", "crv": "P-256", "x": point["x"]}),
		jwk("ec-p384", object{"kty": "EC", "crv": "P-384", "x": forge.Text(point384[1:49]), "y": forge.Text(point384[49:])}),
		jwk("ec-as-okp", object{"kty": "OKP", "crv": "P-256", "x": point["x"], "y": point["y"]}),
		jwk("oct", object{"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}),
		jwk("x25519", object{"kty": "OKP", "crv": "X25519", "x": g.keys["ed"].Public()["x"]}),
		jwk("ed448", object{"kty": "OKP", "crv": "Ed448", "x": forge.Text(make([]byte, 57))}),
		jwk("ed-short", object{"kty": "OKP", "crv": "Ed25519", "x": forge.Text(make([]byte, 31))}),
		jwk("no-kty", object{"crv": "P-256", "x": point["x"], "y": point["y"]}),
	}
	algs := map[string]string{"rsa": "RS256", "ec-": "ES256", "oct": "ES256", "x25": "EdDSA", "ed4": "EdDSA", "ed-": "EdDSA", "no-": "ES256"}
	for name, encoded := range smallOrder() {
		keys = append(keys, jwk("ed-"+name, object{"kty": "OKP", "crv": "Ed25519", "x": forge.Text(encoded)}))
	}
	slices.SortFunc(keys, func(a, b object) int { return slices.Compare([]byte(a["kid"].(string)), []byte(b["kid"].(string))) })
	// One set with all of them and some that are no keys at all: the good ones still serve.
	doc := append(g.jwks(keys...), object{}, object{"kid": "empty"})
	set := forge.JSON(object{"keys": append([]any{null, 1, "key", []int{}, object{"kid": "es2", "kty": []int{1}}}, anys(doc)...)})
	g.validator("weak", func(v *corpus.Validator) { v.Issuers[0].JWKS = set })
	g.accept("good es256 among them", "weak", g.es(), "keys that can't be used do not spoil the rest")
	g.accept("good rs256 among them", "weak", g.token("rs", header("RS256", "rs"), claims()), "keys that can't be used do not spoil the rest")
	for _, k := range keys {
		kid := k["kid"].(string)
		alg := algs[kid[:3]]
		input := forge.Text(forge.JSON(header(alg, kid))) + "." + forge.Text(forge.JSON(claims()))
		g.refuse(validate.CodeKeyUnusable, kid, "weak", input+"."+forge.Text(weakSignature(kid, alg, input, weakRSA, modulus)), "this key must not verify anything")
	}
	nested := g.keys["other"].JWK()
	nested["x5"] = jsonNumber(`{"a":1,"a":2}`)
	g.withKeys("doubtful", nested)
	g.refuse(validate.CodeKeyUnknown, "key with a member twice", "doubtful", g.token("other", header("ES256", "other"), claims()), "a key that reads two ways is no key")
	g.accept("good beside a doubtful one", "doubtful", g.es(), "keys that can't be used do not spoil the rest")
}

func anys(list []object) (out []any) {
	for _, o := range list {
		out = append(out, o)
	}
	return out
}

// smallOrder gives Ed25519 points of small order, in canonical and other encodings, and one that is
// not on the curve. With all of them crypto/ed25519 accepts signatures that nobody made, or would.
func smallOrder() map[string][]byte {
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	little := func(n *big.Int) []byte {
		b := n.FillBytes(make([]byte, 32))
		slices.Reverse(b)
		return b
	}
	eighth, _ := new(big.Int).SetString("7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7", 16)
	negative := little(big.NewInt(1))
	negative[31] |= 0x80
	return map[string][]byte{
		"order-1":          little(big.NewInt(1)),
		"order-1-negative": negative,
		"order-2":          little(new(big.Int).Sub(p, big.NewInt(1))),
		"order-4":          little(big.NewInt(0)),
		"order-8":          little(eighth),
		"order-8-other":    little(new(big.Int).Sub(p, eighth)),
		"unreduced-1":      little(new(big.Int).Add(p, big.NewInt(1))),
		"unreduced-0":      little(p),
		"off-curve":        little(big.NewInt(2)),
	}
}

// weakSignature gives a signature that a careless validator would take from this key.
func weakSignature(kid, alg, input string, weak *rsa.PrivateKey, modulus *big.Int) []byte {
	sum := sha256.Sum256([]byte(input))
	switch {
	case kid == "rsa-1024":
		sig, err := rsa.SignPKCS1v15(rand.Reader, weak, crypto.SHA256, sum[:])
		if err != nil {
			panic(err)
		}
		return sig
	case alg == "RS256": // with an exponent of one the padded digest is its own signature
		padded := append([]byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}, sum[:]...)
		size := (modulus.BitLen() + 7) / 8
		block := append([]byte{0, 1}, slices.Repeat([]byte{0xff}, size-3-len(padded))...)
		return append(append(block, 0), padded...)
	case alg == "EdDSA": // R the neutral element, S zero
		return append([]byte{1}, make([]byte, 63)...)
	}
	return slices.Repeat([]byte{1}, 64)
}

func signatureAttacks(g *generator) {
	good := g.es()
	input, sig := forge.SplitSignature(good)
	bad := func(name string, sig []byte, reason string) {
		g.refuse(validate.CodeSignature, name, "work", input+"."+forge.Text(sig), reason)
	}
	n := elliptic.P256().Params().N
	r, s := sig[:32], sig[32:]
	number := func(v *big.Int) []byte { return v.FillBytes(make([]byte, 32)) }
	join := func(a, b []byte) []byte { return slices.Concat(a, b) }
	zero := make([]byte, 32)
	bad("zeros", join(zero, zero), "CVE-2022-21449: r and s zero")
	bad("r zero", join(zero, s), "r zero")
	bad("s zero", join(r, zero), "s zero")
	bad("r is the order", join(number(n), s), "r is not reduced")
	bad("s is the order", join(r, number(n)), "s is not reduced")
	bad("all ones", slices.Repeat([]byte{0xff}, 64), "not reduced")
	bad("swapped", join(s, r), "r and s exchanged")
	bad("truncated", sig[:63], "63 bytes")
	bad("extended", join(sig, []byte{0}), "65 bytes")
	bad("zero before r", join([]byte{0}, sig), "65 bytes with the same numbers")
	bad("zero between", slices.Concat(r, []byte{0}, s), "65 bytes with the same numbers")
	bad("one byte", []byte{1}, "one byte")
	bad("der", der(sig), "ASN.1 is not the form of JWS")
	bad("bit flipped", flip(sig, 40), "one bit is wrong")
	g.accept("first form", "work", good, "valid")
	g.accept("second form", "work", forge.OtherForm(good), "anybody can rewrite an ECDSA signature: both forms are valid")
	tampered := forge.Text(forge.JSON(claims(object{"sub": "admin"})))
	dot := len(forge.Text(forge.JSON(header("ES256", "es"))))
	g.refuse(validate.CodeSignature, "claims changed", "work", input[:dot]+"."+tampered+"."+forge.Text(sig), "claims changed after signing")
	g.refuse(validate.CodeSignature, "header changed", "work", forge.Text(forge.JSON(header("ES256", "es", object{"x": 1})))+input[dot:]+"."+forge.Text(sig), "header changed after signing")
	_, elsewhere := forge.SplitSignature(g.es(object{"sub": "admin"}))
	bad("of another token", elsewhere, "a signature of another token")
	g.refuse(validate.CodeSignature, "by another key", "work", g.keys["attacker"].Sign(forge.JSON(header("ES256", "es")), forge.JSON(claims())), "an attacker's key under a good name")

	rsaToken := g.token("rs", header("RS256", "rs"), claims())
	rsaInput, rsaSig := forge.SplitSignature(rsaToken)
	private := g.keys["rs"].Signer.(*rsa.PrivateKey)
	badRSA := func(name string, sig []byte, reason string) {
		g.refuse(validate.CodeSignature, name, "work", rsaInput+"."+forge.Text(sig), reason)
	}
	badRSA("rsa truncated", rsaSig[:255], "shorter than the modulus")
	badRSA("rsa extended", join([]byte{0}, rsaSig), "longer than the modulus")
	badRSA("rsa flipped", flip(rsaSig, 100), "one bit is wrong")
	badRSA("rsa modulus", private.N.Bytes(), "as large as the modulus")
	sha1 := make([]byte, 20)
	weak, err := rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA1, sha1)
	if err != nil {
		panic(err)
	}
	badRSA("rsa sha1", weak, "another hash")
	sum := sha256.Sum256([]byte(rsaInput))
	raw, err := rsa.SignPKCS1v15(rand.Reader, private, 0, sum[:])
	if err != nil {
		panic(err)
	}
	badRSA("rsa without digest info", raw, "no name of the hash")

	pssInput := forge.Text(forge.JSON(header("PS256", "ps"))) + "." + forge.Text(forge.JSON(claims()))
	pssSum := sha256.Sum256([]byte(pssInput))
	for name, salt := range map[string]int{"no salt": 0, "salt of 20": 20, "salt of 31": 31, "salt of 33": 33, "longest salt": rsa.PSSSaltLengthAuto} {
		opts := &rsa.PSSOptions{SaltLength: salt, Hash: crypto.SHA256}
		var sig []byte
		var err error
		if salt == 0 { // zero means "as long as possible" to crypto/rsa
			sig = saltless(g.keys["ps"].Signer.(*rsa.PrivateKey), pssSum[:])
		} else if sig, err = g.keys["ps"].Signer.Sign(rand.Reader, pssSum[:], opts); err != nil {
			panic(err)
		}
		g.refuse(validate.CodeSignature, "pss "+name, "work", pssInput+"."+forge.Text(sig), "the salt must have 32 bytes")
	}
	pssAsRSA := *g.keys["ps"]
	pssAsRSA.Alg = "RS256"
	g.refuse(validate.CodeSignature, "pkcs1 as pss", "work", pssAsRSA.SignText(pssInput), "the other padding")

	edToken := g.token("ed", header("EdDSA", "ed"), claims())
	edInput, edSig := forge.SplitSignature(edToken)
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	little := slices.Clone(edSig[32:])
	slices.Reverse(little)
	shifted := new(big.Int).Add(new(big.Int).SetBytes(little), order).FillBytes(make([]byte, 32))
	slices.Reverse(shifted)
	for name, sig := range map[string][]byte{
		"eddsa unreduced": join(edSig[:32], shifted), "eddsa flipped": flip(edSig, 10), "eddsa truncated": edSig[:63], "eddsa extended": join(edSig, []byte{0}),
		"eddsa zeros": make([]byte, 64),
	} {
		g.refuse(validate.CodeSignature, name, "work", edInput+"."+forge.Text(sig), "not the one valid form")
	}
	prehash, err := g.keys["ed"].Signer.(ed25519.PrivateKey).Sign(nil, sum512(edInput), &ed25519.Options{Hash: crypto.SHA512})
	if err != nil {
		panic(err)
	}
	g.refuse(validate.CodeSignature, "eddsa prehashed", "work", edInput+"."+forge.Text(prehash), "Ed25519ph is another algorithm")
}
