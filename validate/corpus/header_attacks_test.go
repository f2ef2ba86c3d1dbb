package corpus_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"strings"

	"seawall/validate"
	"seawall/validate/corpus"
	"seawall/validate/internal/forge"
)

// Attacks in the header: rule 3.

func algAttacks(g *generator) {
	alg := func(name string, value any, reason string) {
		g.refuse(validate.CodeAlg, name, "work", g.token("es", header("", "es", object{"alg": value}), claims()), reason)
	}
	for _, none := range []string{"none", "None", "NONE", "nOnE", "none "} {
		alg("signed "+strings.ReplaceAll(none, " ", "_"), none, "unsecured, with a signature that nobody should look at")
	}
	unsigned := forge.Text(forge.JSON(header("none", "es"))) + "." + forge.Text(forge.JSON(claims())) + "."
	g.refuse(validate.CodeAlg, "none without signature", "work", unsigned, "unsecured token (RFC 7519 §6)")
	alg("missing", nil, "no algorithm")
	alg("null", null, "not a string")
	alg("number", 256, "not a string")
	alg("array", []string{"ES256"}, "not a string")
	alg("empty", "", "no algorithm")
	alg("lower case", "es256", "algorithms are compared with case")
	alg("with space", "ES256 ", "algorithms are compared exactly")
	alg("es384", "ES384", "not allowed here")
	alg("es256k", "ES256K", "another curve")
	alg("dir", "dir", "an encryption algorithm")
	secret := func(name string, key []byte) {
		input := forge.Text(forge.JSON(header("HS256", "rs"))) + "." + forge.Text(forge.JSON(claims()))
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(input))
		g.refuse(validate.CodeAlg, name, "work", input+"."+forge.Text(mac.Sum(nil)), "a public key used as a secret")
	}
	der, err := x509.MarshalPKIXPublicKey(g.keys["rs"].Signer.Public())
	if err != nil {
		panic(err)
	}
	secret("hs256 with public key der", der)
	secret("hs256 with public key pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	secret("hs256 with jwk", forge.JSON(g.keys["rs"].JWK()))
	secret("hs256 with empty secret", nil)
	key := func(name, kid, alg, reason string) {
		signer := *g.keys[kid]
		if alg == "RS256" || alg == "PS256" {
			signer.Alg = alg
		}
		g.refuse(validate.CodeKeyAlg, name, "work", signer.Sign(forge.JSON(header(alg, kid)), forge.JSON(claims())), reason)
	}
	key("ps256 with an rs256 key", "rs", "PS256", "the key names another algorithm, though the signature verifies")
	key("rs256 with a ps256 key", "ps", "RS256", "the key names another algorithm, though the signature verifies")
	key("es256 with an rsa key", "rs", "ES256", "the key is of another type")
	key("eddsa with an ec key", "es", "EdDSA", "the key is of another type")
	key("es256 with an ed25519 key", "ed", "ES256", "the key is of another type")
	g.validator("only es256", func(v *corpus.Validator) { v.Algorithms = []string{"ES256"} })
	g.accept("allowed", "only es256", g.es(), "on the list")
	g.refuse(validate.CodeAlg, "not on the list", "only es256", g.token("rs", header("RS256", "rs"), claims()), "validly signed, but not on the list")
	g.validator("unknown allowed", func(v *corpus.Validator) { v.Algorithms = []string{"none", "HS256", "ES256"} })
	g.accept("beside unknown ones", "unknown allowed", g.es(), "algorithms nobody can verify do no harm on the list")
	g.refuse(validate.CodeAlg, "none on the list", "unknown allowed", unsigned, "no list makes none good")
	unnamed := g.keys["other"].JWK()
	delete(unnamed, "alg")
	g.withKeys("unnamed alg", unnamed)
	g.accept("key without alg", "unnamed alg", g.token("other", header("ES256", "other"), claims()), "type and curve decide")
	g.refuse(validate.CodeKeyAlg, "key without alg of another type", "unnamed alg", g.token("other", header("RS256", "other"), claims()), "type and curve decide")
}

func headerAttacks(g *generator) {
	signed := func(code validate.Code, name string, change object, reason string) {
		g.refuse(code, name, "work", g.token("es", header("ES256", "es", change), claims()), reason)
	}
	signed(validate.CodeCrit, "crit unknown", object{"crit": []string{"x"}, "x": 1}, "an extension that nobody here knows")
	signed(validate.CodeCrit, "crit exp", object{"crit": []string{"exp"}, "exp": 1}, "no extension is supported")
	signed(validate.CodeCrit, "crit empty", object{"crit": []string{}}, "crit must not be there at all")
	signed(validate.CodeCrit, "crit null", object{"crit": null}, "crit must not be there at all")
	signed(validate.CodeCrit, "b64 false", object{"b64": false, "crit": []string{"b64"}}, "unencoded payloads are not supported")
	signed(validate.CodeCrit, "b64 false without crit", object{"b64": false}, "unencoded payloads are not supported")
	signed(validate.CodeCrit, "b64 true", object{"b64": true}, "b64 must not be there at all")
	signed(validate.CodeKid, "kid missing", object{"kid": nil}, "no key is guessed")
	signed(validate.CodeKid, "kid null", object{"kid": null}, "not a string")
	signed(validate.CodeKid, "kid number", object{"kid": 1}, "not a string")
	signed(validate.CodeKid, "kid empty", object{"kid": ""}, "an empty name")
	signed(validate.CodeKid, "kid with nul", object{"kid": "es\x00"}, "a control character")
	signed(validate.CodeKid, "kid with line end", object{"kid": "es\n"}, "a control character")
	signed(validate.CodeKid, "kid with c1 control", object{"kid": "es\u0085"}, "a control character")
	for name, kid := range map[string]string{
		"other case": "ES", "with space": "es ", "path": "../../../dev/null", "sql": "x' UNION SELECT 'key", "url": "https://evil.example/key", "prefix": "e",
		"long": strings.Repeat("k", 3000),
	} {
		signed(validate.CodeKeyUnknown, "kid "+name, object{"kid": kid}, "names are compared byte for byte")
	}
	// Keys in the header are never used: the attacker signs with a key that he sends along.
	attacker := g.keys["attacker"]
	jwk := attacker.JWK()
	along := func(code validate.Code, name string, h object, reason string) {
		g.refuse(code, name, "work", attacker.Sign(forge.JSON(h), forge.JSON(claims())), reason)
	}
	along(validate.CodeSignature, "jwk with a good kid", header("ES256", "es", object{"jwk": jwk}), "the key in the header is not used")
	along(validate.CodeKeyUnknown, "jwk with its own kid", header("ES256", "attacker", object{"jwk": jwk}), "the key in the header is not used")
	along(validate.CodeKid, "jwk without kid", header("ES256", "", object{"kid": nil, "jwk": jwk}), "the key in the header is not used")
	along(validate.CodeSignature, "jku", header("ES256", "es", object{"jku": "https://evil.example/jwks"}), "URLs in the header are not used")
	along(validate.CodeSignature, "x5u", header("ES256", "es", object{"x5u": "https://evil.example/cert"}), "URLs in the header are not used")
	along(validate.CodeSignature, "x5c", header("ES256", "es", object{"x5c": []string{"MIIB"}}), "certificates in the header are not used")
	along(validate.CodeSignature, "x5t", header("ES256", "es", object{"x5t": "dGVzdA", "x5t#S256": "dGVzdA"}), "thumbprints in the header are not used")
	g.accept("jwk beside a good signature", "work", g.token("es", header("ES256", "es", object{"jwk": jwk, "jku": "https://evil.example"}), claims()), "what is not used does no harm")
	g.accept("unknown members", "work", g.token("es", header("ES256", "es", object{"x": object{"y": 1}, "zip": "DEF", "rcpt": 1}), claims()), "unknown members are ignored")
	g.accept("reordered", "work", g.token("es", ` { "kid" : "es" , "alg":"ES256","typ":"at+jwt" } `, claims()), "order and white space do not matter")
}

func typAttacks(g *generator) {
	typ := func(value any) string {
		return g.token("es", header("ES256", "es", object{"typ": value}), claims())
	}
	for name, value := range map[string]string{
		"upper case": "AT+JWT", "mixed case": "aT+Jwt", "media type": "application/at+jwt", "upper media type": "APPLICATION/AT+JWT",
	} {
		g.accept(name, "work", typ(value), "compared without case, with or without application/")
	}
	for name, value := range map[string]any{
		"missing": nil, "null": null, "number": 1, "array": []string{"at+jwt"}, "empty": "", "jwt": "JWT", "id token": "id_token+jwt", "logout": "logout+jwt",
		"event": "secevent+jwt", "proof": "dpop+jwt", "with space": "at+jwt ", "with parameter": "at+jwt;v=1", "twice application": "application/application/at+jwt",
		"only application": "application/", "other media type": "text/at+jwt", "prefix": "at", "full width": "ａt+jwt",
	} {
		g.refuse(validate.CodeTyp, name, "work", typ(value), "not an access token by its type")
	}
	g.validator("kelvin", func(v *corpus.Validator) { v.Types = []string{"application/Key+JWT"} })
	g.accept("configured in other words", "kelvin", typ("key+jwt"), "the configuration may use case and application/ too")
	g.refuse(validate.CodeTyp, "kelvin sign", "kelvin", typ("\u212aey+jwt"), "only ASCII letters have two cases here")
}
