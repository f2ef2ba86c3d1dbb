package corpus_test

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"math/big"
	"slices"
	"strings"

	"seawall/validate"
	"seawall/validate/internal/forge"
)

// Attacks with DPoP proofs themselves: rule 10.

// proofHeader gives the standard header of a proof, changed.
func (g *generator) proofHeader(kid string, changes ...object) object {
	h := g.keys[kid].ProofHeader()
	for _, change := range changes {
		maps.Copy(h, change)
	}
	maps.DeleteFunc(h, func(_ string, v any) bool { return v == nil })
	return h
}

func dpopFormAttacks(g *generator) {
	g.bindings()
	token := g.bound("client es")
	const key = "client es"
	send := func(code validate.Code, name, proof, reason string) {
		if code == "" {
			g.accept(name, "dpop", token, reason).Request = request(proof)
			return
		}
		g.refuse(code, name, "dpop", token, reason).Request = request(proof)
	}
	const form = validate.CodeDPoPForm
	good := g.proof(key, token)
	parts := strings.Split(good, ".")
	text := func(name, proof, reason string) { send(form, name, proof, reason) }
	text("two segments", parts[0]+"."+parts[1], "not compact form")
	text("four segments", good+".", "not compact form")
	text("no signature", parts[0]+"."+parts[1]+".", "an empty segment")
	text("no header", "."+parts[1]+"."+parts[2], "an empty segment")
	text("no payload", parts[0]+".."+parts[2], "an empty segment")
	text("garbage", "garbage", "not compact form")
	text("padded", good+"==", "not canonical base64url")
	text("line end in payload", parts[0]+"."+parts[1][:8]+"\n"+parts[1][8:]+"."+parts[2], "not canonical base64url")
	text("space in signature", parts[0]+"."+parts[1]+"."+parts[2][:8]+" "+parts[2][8:], "not canonical base64url")
	text("other alphabet", parts[0]+"."+parts[1]+"."+base64.RawStdEncoding.EncodeToString(slices.Repeat([]byte{0xfb}, 64)), "not base64url")
	text("unused bits", good[:len(good)-1]+string(good[len(good)-1]+1), "not canonical base64url")
	text("json serialisation", string(forge.JSON(object{"protected": parts[0], "payload": parts[1], "signature": parts[2]})), "not compact form")
	text("too long", g.proof(key, token, object{"x": strings.Repeat("x", maxTokens)}), "more than max_token_bytes")
	text("token instead", token, "not a proof")

	goodClaims, goodHead := string(forge.JSON(proofClaims(token))), string(forge.JSON(g.proofHeader(key)))
	payload := func(code validate.Code, name, payload, reason string) {
		send(code, name, g.token(key, goodHead, payload), reason)
	}
	head := func(code validate.Code, name, head, reason string) {
		send(code, name, g.token(key, head, goodClaims), reason)
	}
	with := func(o, member string) string { return o[:len(o)-1] + "," + member + "}" }
	payload(form, "claim twice", with(goodClaims, `"htm":"GET"`), "a member twice")
	payload(form, "claim twice by escape", with(goodClaims, `"j\u0074i":"x"`), "a member twice after unescaping")
	payload(form, "unknown claim twice", with(goodClaims, `"x":1,"x":1`), "a member twice")
	payload(form, "array payload", "["+goodClaims+"]", "not an object")
	payload(form, "text after payload", goodClaims+" x", "something after the object")
	payload(form, "lone surrogate", with(goodClaims, `"x":"\ud800"`), "an unpaired surrogate escape")
	payload(form, "not utf8", with(goodClaims, "\"x\":\"\xff\""), "not UTF-8")
	payload(form, "depth 33", with(goodClaims, `"x":`+strings.Repeat("[", 32)+strings.Repeat("]", 32)), "33 levels")
	payload("", "depth 32", with(goodClaims, `"x":`+strings.Repeat("[", 31)+strings.Repeat("]", 31)), "32 levels are allowed")
	payload("", "white space", strings.ReplaceAll(goodClaims, ",", " ,\r\n\t"), "white space in JSON is fine")
	payload("", "unknown claims", with(goodClaims, `"exp":1,"nbf":99999999999,"sub":"x","aud":[]`), "unknown members are ignored")
	payload("", "escaped claim", strings.Replace(goodClaims, `"GET"`, `"\u0047ET"`, 1), "compared after unescaping")
	head(form, "header member twice", with(goodHead, `"alg":"ES256"`), "a member twice")
	head(form, "jwk twice", with(goodHead, `"jwk":{}`), "a member twice")
	head(form, "jwk member twice", strings.Replace(goodHead, `"kty":"EC"`, `"kty":"EC","kty":"EC"`, 1), "a member twice in the key")
	head(form, "jwk member twice by escape", strings.Replace(goodHead, `"kty":"EC"`, `"kty":"EC","k\u0074y":"EC"`, 1), "a member twice in the key")
	head(form, "array header", "["+goodHead+"]", "not an object")
	head("", "unknown header members", with(goodHead, `"kid":"es","x5c":["MIIB"],"jku":"https://evil.example/"`), "unknown members are ignored")

	change := func(code validate.Code, name string, change object, reason string) {
		send(code, name, g.token(key, g.proofHeader(key, change), proofClaims(token)), reason)
	}
	for name, typ := range map[string]any{"missing": nil, "null": null, "jwt": "JWT", "at+jwt": "at+jwt", "empty": "", "list": []string{"dpop+jwt"}, "with space": "dpop+jwt "} {
		change(form, "typ "+name, object{"typ": typ}, "typ is dpop+jwt")
	}
	change(form, "crit", object{"crit": []string{"x"}, "x": 1}, "crit is refused")
	change(form, "crit empty", object{"crit": []string{}}, "crit is refused")
	change(form, "b64 true", object{"b64": true}, "b64 is refused")
	change(form, "b64 false", object{"b64": false, "crit": []string{"b64"}}, "b64 is refused")
	for name, alg := range map[string]any{"missing": nil, "null": null, "none": "none", "hs256": "HS256", "es384": "ES384", "es256k": "ES256K", "rs512": "RS512", "lower case": "es256", "empty": "", "number": 256, "with space": "ES256 "} {
		change(validate.CodeDPoPAlg, "alg "+name, object{"alg": alg}, "alg is ES256, RS256, PS256 or EdDSA")
	}
	unsigned := forge.Text(forge.JSON(g.proofHeader(key, object{"alg": "none"}))) + "." + parts[1] + "."
	text("alg none without signature", unsigned, "unsecured proof")
	for _, name := range []string{"htm", "htu", "ath", "jti"} {
		for kind, value := range map[string]any{"missing": nil, "null": null, "number": 1, "list": []string{"GET"}, "object": object{}, "empty": "", "with control": "a\u0000"} {
			send(form, name+" "+kind, g.proof(key, token, object{name: value}), "a non-empty text without control characters")
		}
	}
	for kind, value := range map[string]any{
		"missing": nil, "null": null, "text": "1790000000", "true": true, "list": []int{now}, "negative": -1, "year 10000": 253402300800, "beyond double": jsonNumber("1e400"),
	} {
		send(form, "iat "+kind, g.proof(key, token, object{"iat": value}), "not a time")
	}
	send(form, "only case variants", g.proof(key, token, object{"htm": nil, "HTM": "GET"}), "names are compared with case")
	for name, typ := range map[string]string{"upper case": "DPOP+JWT", "with application": "application/dpop+jwt"} {
		change(form, "typ "+name, object{"typ": typ}, "the one spelling of RFC 9449 §4.2")
	}
}

func dpopKeyAttacks(g *generator) {
	g.bindings()
	const key = "client es"
	token := g.bound(key)
	send := func(code validate.Code, name, token, proof, reason string) {
		if code == "" {
			g.accept(name, "dpop", token, reason).Request = request(proof)
			return
		}
		g.refuse(code, name, "dpop", token, reason).Request = request(proof)
	}
	jwk := func(code validate.Code, name string, change object, reason string) {
		k := g.keys[key].Public()
		maps.Copy(k, change)
		maps.DeleteFunc(k, func(_ string, v any) bool { return v == nil })
		send(code, name, token, g.token(key, g.proofHeader(key, object{"jwk": k}), proofClaims(token)), reason)
	}
	const bad = validate.CodeDPoPKey
	jwk("", "with kid, use and alg", object{"kid": "mine", "use": "sig", "alg": "ES256", "key_ops": []string{"verify"}}, "a sound key that says more of itself")
	jwk("", "with unknown members", object{"x5t": "abc", "ext": true, "name": object{"a": 1}}, "unknown members are ignored and not part of the thumbprint")
	jwk("", "with empty kid", object{"kid": ""}, "nobody looks for it by name")
	jwk("", "inside its window", object{"nbf": now, "exp": now + 1}, "inside its window")
	for _, member := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		jwk(bad, "private "+member, object{member: "AAAA"}, "a private or symmetric member")
		jwk(bad, "private "+member+" null", object{member: null}, "a private or symmetric member, whatever it holds")
	}
	jwk(bad, "use enc", object{"use": "enc"}, "not for signatures")
	jwk(bad, "ops sign", object{"key_ops": []string{"sign"}}, "may not verify")
	jwk(bad, "alg of another", object{"alg": "ES384"}, "for another algorithm")
	jwk(bad, "expired", object{"exp": now}, "outside its window")
	jwk(bad, "not yet valid", object{"nbf": now + 1}, "outside its window")
	jwk(bad, "revoked", object{"revoked": object{}}, "marked as revoked")
	jwk(bad, "no y", object{"y": nil}, "half a point")
	jwk(bad, "off the curve", object{"y": g.keys[key].Public()["x"]}, "not on the curve")
	jwk(bad, "kty rsa", object{"kty": "RSA"}, "no such key")
	jwk(bad, "kty missing", object{"kty": nil}, "no such key")
	jwk(bad, "crv missing", object{"crv": nil}, "no such key")
	jwk(bad, "crv p384", object{"crv": "P-384"}, "another curve")
	jwk(bad, "x padded", object{"x": g.keys[key].Public()["x"].(string) + "="}, "not canonical base64url")
	for name, value := range map[string]any{"text": "key", "list": []object{g.keys[key].Public()}, "null": null, "empty": object{}, "number": 1} {
		send(bad, "jwk "+name, token, g.token(key, g.proofHeader(key, object{"jwk": value}), proofClaims(token)), "not a key")
	}
	send(validate.CodeDPoPForm, "jwk missing", token, g.token(key, g.proofHeader(key, object{"jwk": nil}), proofClaims(token)), "no key")
	send(validate.CodeDPoPForm, "kid instead of jwk", token, g.token(key, g.proofHeader(key, object{"jwk": nil, "kid": "es"}), proofClaims(token)), "the key must be in the header")
	send(bad, "alg of another type", token, g.token(key, g.proofHeader(key, object{"alg": "EdDSA"}), proofClaims(token)), "the key is of another type")
	send(validate.CodeDPoPThumbprint, "another key", token, g.proof("client two", token), "a good proof by a key that the token is not bound to")
	send(validate.CodeDPoPThumbprint, "the issuer's key", token, g.proof("es", token), "a good proof by a key that the token is not bound to")
	send(validate.CodeDPoPSignature, "signed by another key", token, g.token("client two", g.proofHeader(key), proofClaims(token)), "the bound key in the header, another one's signature")

	good := g.proof(key, token)
	input, sig := forge.SplitSignature(good)
	bent := func(name string, sig []byte, reason string) {
		send(validate.CodeDPoPSignature, name, token, input+"."+forge.Text(sig), reason)
	}
	bent("zeros", make([]byte, 64), "r and s zero")
	bent("bit flipped", append(slices.Clone(sig[:63]), sig[63]^1), "another signature")
	bent("short", sig[:63], "ES256 has 64 bytes")
	bent("long", append(slices.Clone(sig), 0), "ES256 has 64 bytes")
	bent("halves swapped", slices.Concat(sig[32:], sig[:32]), "s and r")
	send("", "other form of the signature", token, forge.OtherForm(good), "both forms of an ECDSA signature are good")
	send(validate.CodeDPoPSignature, "claims changed", token, forge.Text(forge.JSON(g.proofHeader(key)))+"."+forge.Text(forge.JSON(proofClaims(token, object{"jti": "p-9"})))+"."+forge.Text(sig), "changed after signing")

	// Keys that are weak, each with a token that is bound to it and a proof that a careless check takes.
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		panic(err)
	}
	modulus := g.keys["client rs"].Signer.Public().(*rsa.PublicKey).N
	forged := func(name, alg string, public object, sign func(input string) []byte) {
		sum := sha256.Sum256(forge.JSON(public))
		token := g.es(object{"cnf": object{"jkt": forge.Text(sum[:])}})
		input := forge.Text(forge.JSON(object{"typ": "dpop+jwt", "alg": alg, "jwk": public})) + "." + forge.Text(forge.JSON(proofClaims(token)))
		send(bad, name, token, input+"."+forge.Text(sign(input)), "this key must not verify anything, though the token is bound to it")
	}
	forged("rsa 1024", "RS256", object{"kty": "RSA", "n": forge.Text(weak.N.Bytes()), "e": "AQAB"}, func(input string) []byte {
		sum := sha256.Sum256([]byte(input))
		sig, err := rsa.SignPKCS1v15(rand.Reader, weak, crypto.SHA256, sum[:])
		if err != nil {
			panic(err)
		}
		return sig
	})
	forged("rsa e1", "RS256", object{"kty": "RSA", "n": forge.Text(modulus.Bytes()), "e": "AQ"}, func(input string) []byte {
		return weakSignature("rsa-e1", "RS256", input, weak, modulus)
	})
	for name, encoded := range smallOrder() {
		forged("ed "+name, "EdDSA", object{"kty": "OKP", "crv": "Ed25519", "x": forge.Text(encoded)}, func(string) []byte {
			return append([]byte{1}, make([]byte, 63)...)
		})
	}
	forged("symmetric", "ES256", object{"k": "c2VjcmV0", "kty": "oct"}, func(string) []byte { return make([]byte, 64) })
	forged("ec zero", "ES256", object{"kty": "EC", "crv": "P-256", "x": forge.Text(make([]byte, 32)), "y": forge.Text(make([]byte, 32))}, func(string) []byte { return make([]byte, 64) })
	unreduced := new(big.Int).Add(elliptic.P256().Params().P, big.NewInt(1)).Bytes()
	forged("ec unreduced", "ES256", object{"kty": "EC", "crv": "P-256", "x": forge.Text(unreduced), "y": g.keys[key].Public()["y"]}, func(string) []byte { return make([]byte, 64) })

	rs := g.bound("client rs")
	for name, salt := range map[string]int{"salt of 20": 20, "longest salt": rsa.PSSSaltLengthAuto, "salt of 64": 64} {
		input := forge.Text(forge.JSON(object{"typ": "dpop+jwt", "alg": "PS256", "jwk": g.keys["client rs"].Public()})) + "." + forge.Text(forge.JSON(proofClaims(rs)))
		sum := sha256.Sum256([]byte(input))
		sig, err := rsa.SignPSS(rand.Reader, g.keys["client rs"].Signer.(*rsa.PrivateKey), crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: salt})
		if err != nil {
			panic(err)
		}
		send(validate.CodeDPoPSignature, "ps256 "+name, rs, input+"."+forge.Text(sig), "the salt has 32 bytes")
	}
	ps := *g.keys["client rs"]
	ps.Alg = "PS256"
	send("", "rsa key with either algorithm", rs, ps.Sign(forge.JSON(object{"typ": "dpop+jwt", "alg": "PS256", "jwk": ps.Public()}), forge.JSON(proofClaims(rs))), "the key names no algorithm")
}
