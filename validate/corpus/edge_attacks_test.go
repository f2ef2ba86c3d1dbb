package corpus_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"math/big"
	"slices"
	"strings"

	"seawall/validate"
	"seawall/validate/corpus"
	"seawall/validate/internal/forge"
)

// The edges of every rule, from both sides, where another class has not walked them.

func edgeAttacks(g *generator) {
	g.edgesOfText()
	g.edgesOfTime()
	g.edgesOfKeys()
	g.edgesOfRevocations()
	g.edgesOfConfiguration()
}

func (g *generator) edgesOfText() {
	good := string(forge.JSON(claims()))
	with := func(member string) string { return good[:len(good)-1] + "," + member + "}" }
	fine := func(name, payload, reason string) {
		g.accept(name, "work", g.token("es", header("ES256", "es"), payload), reason)
	}
	bad := func(code validate.Code, name, payload, reason string) {
		g.refuse(code, name, "work", g.token("es", header("ES256", "es"), payload), reason)
	}
	fine("number beyond double", with(`"x":1e999999`), "a number of an unknown member may be any")
	fine("long number", with(`"x":-0.`+strings.Repeat("1", 400)), "a number of an unknown member may be any")
	fine("nul escaped in unknown text", with(`"x":"\u0000"`), "control characters matter in claims that are used")
	fine("nul escaped in unknown name", with(`"\u0000":1`), "an unknown member")
	fine("del in unknown text", with("\"x\":\"\x7f\""), "JSON allows it unescaped")
	fine("noncharacters", with("\"x\":\"\uffff\ufdd0\U0010ffff\""), "valid UTF-8")
	fine("replacement character", with("\"x\":\"\ufffd\""), "a character like any other when it is written so")
	fine("escaped pair in upper case", with(`"x":"\uD83D\uDE00"`), "hexadecimal has no case")
	fine("pair as name", with(`"\ud83d\ude00":1`), "a pair is fine in a name")
	fine("names that differ in case only", with(`"x":1,"X":2`), "two names")
	fine("names that look alike", with("\"é\":1,\"e\u0301\":2"), "names are not normalised")
	fine("same name in two objects", with(`"a":{"x":1},"b":{"x":1},"x":{"x":{"x":1}}`), "no object has it twice")
	fine("same name in objects of a list", with(`"l":[{"x":1},{"x":1}]`), "no object has it twice")
	fine("white space around", " \t\r\n"+good+"\n ", "white space around a value is JSON")
	fine("empty containers", with(`"x":{},"y":[],"z":[{},[]]`), "nothing wrong")
	fine("depth 32 in a mixture", with(`"x":`+strings.Repeat(`[{"a":`, 15)+`[1]`+strings.Repeat(`}]`, 15)), "32 levels")
	bad(validate.CodeJSON, "depth 33 in a mixture", with(`"x":`+strings.Repeat(`[{"a":`, 15)+`[[1]]`+strings.Repeat(`}]`, 15)), "33 levels")
	fine("many at depth two", with(`"x":[`+strings.Repeat("[],", 500)+`[]]`), "wide is not deep")
	bad(validate.CodeJSON, "pair and a lone one", with(`"x":"\ud83d\ude00\ud83d"`), "the last is alone")
	bad(validate.CodeJSON, "low before a pair", with(`"x":"\ude00\ud83d\ude00"`), "the first is alone")
	bad(validate.CodeJSON, "high and an escaped letter", with(`"x":"\ud83d\u0041"`), "no pair")
	bad(validate.CodeJSON, "high and a line end escape", with(`"x":"\ud83d\n"`), "no pair")
	bad(validate.CodeJSON, "pair cut by the end", with(`"x":"\ud83d\u`), "no pair")
	bad(validate.CodeJSON, "surrogates in raw utf8 as a pair", with("\"x\":\"\xed\xa0\xbd\xed\xb8\x80\""), "not UTF-8")
	bad(validate.CodeJSON, "twice by two escapes", with(`"\u0061":1,"\u0061":1`), "a member twice")
	bad(validate.CodeJSON, "twice by escaped slash", with(`"a\/b":1,"a/b":2`), "a member twice after unescaping")
	bad(validate.CodeJSON, "twice by escaped pair", with("\"\U0001f600\":1,\"\\ud83d\\ude00\":2"), "a member twice after unescaping")
	bad(validate.CodeJSON, "twice as number and text", with(`"x":"1","x":1`), "a member twice, whatever its values")
	bad(validate.CodeJSON, "twice after thirty others", with(`"x":0,`+many(30)+`,"x":0`), "a member twice")
	bad(validate.CodeJSON, "twice in the actor's actor", with(`"act":{"act":{"sub":"a","sub":"b"}}`), "a member twice at depth three")
	bad(validate.CodeJSON, "twice in cnf", with(`"cnf":{"x":1,"x":1}`), "a member twice")
	bad(validate.CodeJSON, "record separator", "\x1e"+good, "not JSON")
	bad(validate.CodeJSON, "nul at the end", good+"\x00", "something after the object")
	bad(validate.CodeJSON, "minus zero with a leading zero", with(`"x":-00`), "not a number")
	bad(validate.CodeJSON, "exponent with a point", with(`"x":1e1.5`), "not a number")
	bad(validate.CodeJSON, "two signs", with(`"x":--1`), "not a number")
	bad(validate.CodeJSON, "full-width digits", with("\"x\":１"), "not a number")

	for name, sub := range map[string]string{"space": " ", "long": strings.Repeat("s", 2000), "emoji": "😀", "right to left": "\u202eadmin", "quotes": `"\/`, "markup": "<script>&amp;", "looks like a token": "a.b.c", "line separator": "a\u2028b", "no break space": "\u00a0"} {
		g.add(corpus.Case{Name: "sub " + name, Validator: "work", Token: g.es(object{"sub": sub}), Expect: "accept", Subject: sub, Reason: "a text without control characters"})
	}
	for name, sub := range map[string]string{"tab": "a\tb", "escape": "\x1b[2J", "unit separator": "\x1f", "c1 first": "\u0080", "c1 last": "\u009f", "control at the end": "admin\n"} {
		g.refuse(validate.CodeClaims, "sub with "+name, "work", g.es(object{"sub": sub}), "a control character")
	}
	g.refuse(validate.CodeTenant, "tid with control", "work", g.es(object{"tid": tenantA + "\n", "iss": strings.Replace(workName, "{tenantid}", tenantA+"\n", 1)}), "a control character, which no UUID has")
	long := g.es(object{"x": strings.Repeat("x", 3800)})
	g.validator("exact size", func(v *corpus.Validator) { v.MaxBytes = len(long) })
	g.validator("size less one", func(v *corpus.Validator) { v.MaxBytes = len(long) - 1 })
	g.accept("exactly max_token_bytes", "exact size", long, "as long as allowed")
	g.refuse(validate.CodeTooLarge, "one over max_token_bytes", "size less one", long, "a byte too long")
	raw := g.add(corpus.Case{Name: "given as bytes", Validator: "work", Expect: "accept", Subject: subject, Reason: "token_b64 is the same token"})
	raw.TokenB64 = base64.StdEncoding.EncodeToString([]byte(g.es()))
	raw = g.add(corpus.Case{Name: "given as bytes with a byte order mark", Validator: "work", Expect: "reject", Code: string(validate.CodeEncoding), Reason: "not base64url"})
	raw.TokenB64 = base64.StdEncoding.EncodeToString([]byte("\ufeff" + g.es()))
	raw = g.add(corpus.Case{Name: "given as utf-16", Validator: "work", Expect: "reject", Code: string(validate.CodeEncoding), Reason: "not base64url"})
	raw.TokenB64 = base64.StdEncoding.EncodeToString([]byte(strings.Join(strings.Split(g.es(), ""), "\x00")))
}

// many gives members of an object.
func many(n int) string {
	var list []string
	for i := range n {
		list = append(list, `"m`+string(rune('a'+i%26))+strings.Repeat("x", i/26)+`":0`)
	}
	return strings.Join(list, ",")
}

func (g *generator) edgesOfTime() {
	at := func(code validate.Code, name string, change object, reason string) {
		if code == "" {
			g.accept(name, "work", g.es(change), reason)
		} else {
			g.refuse(code, name, "work", g.es(change), reason)
		}
	}
	at("", "nbf zero", object{"nbf": 0}, "long past")
	at("", "nbf minus zero", object{"nbf": jsonNumber("-0")}, "minus zero is zero, and not negative")
	at("", "nbf minus zero fraction", object{"nbf": jsonNumber("-0.000e7")}, "minus zero is zero, and not negative")
	at("", "nbf zero with a huge exponent", object{"nbf": jsonNumber("0e99999999999999999999")}, "zero, however it is written")
	at("", "nbf tiny", object{"nbf": jsonNumber("1e-999999999")}, "a fraction is fine")
	at(validate.CodeClaims, "nbf tiny and negative", object{"nbf": jsonNumber("-1e-999999999")}, "negative, however little")
	at(validate.CodeLifetime, "exp minus zero", object{"exp": jsonNumber("-0")}, "not after iat")
	at("", "exp before nbf", object{"exp": now + 5, "nbf": now + 20}, "each holds by itself")
	at("", "exp as many digits", object{"exp": jsonNumber("17900030000000000000000000000e-19")}, "a number in another form")
	at("", "exp with a point and an exponent", object{"exp": jsonNumber("0.00001790003e14")}, "a number in another form")
	at(validate.CodeClaims, "exp just at the year 10000", object{"exp": jsonNumber("253402300800.0")}, "not below the limit")
	at(validate.CodeLifetime, "exp just below the year 10000", object{"exp": jsonNumber("253402300799.999999999999")}, "below the limit, and far too long")
	at(validate.CodeClaims, "iat at the year 10000 by exponent", object{"iat": jsonNumber("2534023008e2")}, "not below the limit")
	at("", "lifetime exact by fractions", object{"iat": jsonNumber("1789999400.25"), "exp": jsonNumber("1790004800.25")}, "exactly as long as allowed")
	at(validate.CodeLifetime, "lifetime over by a hair", object{"iat": jsonNumber("1789999400.25"), "exp": jsonNumber("1790004800.2500000000000001")}, "longer than allowed")
	at(validate.CodeLifetime, "exp equal by another form", object{"iat": jsonNumber("1.7899994e9"), "exp": jsonNumber("17899994e2")}, "not after iat")
	at("", "iat to nbf", object{"nbf": now + 29, "iat": now + 30, "exp": now + 31}, "all at the edge of the leeway")
	clock := func(code validate.Code, name string, when float64, change object) {
		c := (*corpus.Case)(nil)
		if code == "" {
			c = g.accept(name, "work", g.es(change), "the case's own clock")
		} else {
			c = g.refuse(code, name, "work", g.es(change), "the case's own clock")
		}
		c.Now = &when
	}
	clock("", "clock with a fraction before the end", now+3029.999, nil)
	clock(validate.CodeExpired, "clock with a fraction at the end", now+3030, nil)
	clock("", "clock set back to the start", now-630, nil)
	clock(validate.CodeNotYetValid, "clock set back before the start", now-630.5, nil)
	clock(validate.CodeNotYetValid, "clock at zero", 0, nil)
	g.validator("fine leeway", func(v *corpus.Validator) { half := 0.5; v.Leeway = &half })
	g.accept("leeway of half a second", "fine leeway", g.es(object{"exp": jsonNumber("1789999999.6")}), "now < exp + leeway")
	g.refuse(validate.CodeExpired, "leeway of half a second is over", "fine leeway", g.es(object{"exp": jsonNumber("1789999999.5")}), "now = exp + leeway")
}

func (g *generator) edgesOfKeys() {
	token := g.token("other", header("ES256", "other"), claims())
	served := func(code validate.Code, name, reason string, jwks ...object) {
		g.withKeys(name, jwks...)
		if code == "" {
			g.accept(name, name, token, reason)
		} else {
			g.refuse(code, name, name, token, reason)
		}
	}
	good := g.keys["other"].JWK()
	named := func(kid string, change object) object {
		k := g.keys[kid].JWK()
		k["kid"] = "other"
		maps.Copy(k, change)
		maps.DeleteFunc(k, func(_ string, v any) bool { return v == nil })
		return k
	}
	served(validate.CodeKeyAmbiguous, "same key twice", "two keys have the name, though they are one", good, good)
	served(validate.CodeKeyAmbiguous, "rsa key of the same name", "two usable keys have the name, though only one fits", good, named("rs", nil))
	served("", "encryption key of the same name", "only one is usable", good, named("attacker", object{"use": "enc"}))
	served("", "signing-only key of the same name", "only one is usable", good, named("attacker", object{"key_ops": []string{"sign"}}))
	served("", "revoked key of the same name", "only one is usable", named("attacker", object{"revoked": object{}}), good)
	served("", "coming key of the same name", "only one is usable", named("attacker", object{"nbf": now + 1}), good)
	served("", "ended key of the same name", "only one is usable", good, named("attacker", object{"exp": now}))
	served("", "symmetric key of the same name", "only one is usable", object{"kty": "oct", "k": "c2VjcmV0", "kid": "other"}, good)
	served("", "unknown key of the same name", "only one is usable", object{"kty": "AKP", "kid": "other", "pub": "AAAA"}, good)
	served("", "small order key of the same name", "only one is usable", object{"kty": "OKP", "crv": "Ed25519", "x": forge.Text(smallOrder()["order-4"]), "kid": "other"}, good)
	served("", "name in another case", "names are compared byte for byte", good, named("attacker", object{"kid": "Other"}))
	served("", "name with a space", "names are compared byte for byte", good, named("attacker", object{"kid": "other "}))
	served("", "ops with more", "verify is among them", named("other", object{"key_ops": []string{"sign", "verify"}, "use": nil}))
	served("", "ops twice", "verify is among them", named("other", object{"key_ops": []string{"verify", "verify"}}))
	served(validate.CodeKeyUnusable, "ops in capitals", "not verify", named("other", object{"key_ops": []string{"VERIFY"}}))
	served(validate.CodeKeyUnusable, "ops null", "not a list", named("other", object{"key_ops": null}))
	served("", "ops instead of use", "verify is among them", named("other", object{"key_ops": []string{"verify"}, "use": nil}))
	served(validate.CodeKeyUnusable, "use empty", "not sig", named("other", object{"use": ""}))
	served("", "no use", "use is optional", named("other", object{"use": nil}))
	served("", "window with fractions", "nbf <= now < exp", named("other", object{"nbf": now - 0.5, "exp": now + 0.5}))
	served("", "window of one moment", "nbf <= now < exp", named("other", object{"nbf": now, "exp": now + 0.001}))
	served(validate.CodeKeyExpired, "window of no time", "nbf <= now < exp", named("other", object{"nbf": now, "exp": now}))
	served(validate.CodeKeyNotYetValid, "nbf a fraction ahead", "no leeway", named("other", object{"nbf": now + 0.25}))
	served("", "only nbf", "no end", named("other", object{"nbf": now - 5}))
	served("", "only exp", "no start", named("other", object{"exp": now + 5}))
	served("", "issuer of this tenant", "the key names the token's issuer", named("other", object{"issuer": workA}))
	served(validate.CodeKeyIssuer, "issuer empty", "no issuer has that name", named("other", object{"issuer": ""}))
	served(validate.CodeKeyUnusable, "issuer null", "a binding that can't be read is not no binding", named("other", object{"issuer": null}))
	served(validate.CodeKeyIssuer, "issuer of the authority", "compared exactly", named("other", object{"issuer": "https://login.work.example"}))
	served(validate.CodeKeyIssuer, "issuer template of other form", "compared exactly after replacement", named("other", object{"issuer": "https://login.work.example/{tenantid}/v2.0/"}))
	served(validate.CodeKeyIssuer, "issuer with another mark", "only {tenantid} is replaced", named("other", object{"issuer": "https://login.work.example/{tenantId}/v2.0"}))
	served(validate.CodeKeyIssuer, "issuer template in capitals", "compared with case", named("other", object{"issuer": strings.ToUpper("https://login.work.example/") + "{tenantid}/v2.0"}))
	g.withKeys("literal and ended", named("attacker", object{"kid": "own", "issuer": workA, "exp": now - 5}), named("other", object{"issuer": workName}))
	g.refuse(validate.CodeKeyIssuer, "literal key that has ended", "literal and ended", token, "a tenant whose own key has ended is not served by the shared one: any key of the set counts")

	unicode := *g.keys["other"]
	unicode.ID = "schlüssel/2026 №1"
	g.withKeys("unicode name", unicode.JWK())
	g.accept("name in another script", "unicode name", unicode.Sign(forge.JSON(header("ES256", unicode.ID)), forge.JSON(claims())), "a name is a text")
	g.accept("name by escape", "work", g.token("es", `{"alg":"ES256","typ":"at+jwt","kid":"\u0065s"}`, claims()), "compared after unescaping")
	g.refuse(validate.CodeKeyUnknown, "name that looks alike", "unicode name", unicode.Sign(forge.JSON(header("ES256", "schlu\u0308ssel/2026 №1")), forge.JSON(claims())), "names are not normalised")

	three := rsaOf(2048, 3)
	short := rsaOf(2047, 65537)
	for name, key := range map[string]*rsaKey{"rsa e3": three, "rsa 2047": short} {
		g.withKeys(name, object{"kty": "RSA", "n": forge.Text(key.n.Bytes()), "e": forge.Text(key.e.Bytes()), "kid": "odd"})
		input := forge.Text(forge.JSON(header("RS256", "odd"))) + "." + forge.Text(forge.JSON(claims()))
		token := input + "." + forge.Text(key.sign(input))
		if key == three {
			g.accept("exponent of three", name, token, "three is the least exponent")
		} else {
			g.refuse(validate.CodeKeyUnusable, "modulus of 2047 bits", name, token, "a bit too short")
		}
	}
	modulus := g.keys["rs"].Signer.Public().(*rsa.PublicKey).N
	g.withKeys("zeros before n", object{"kty": "RSA", "n": forge.Text(append([]byte{0}, modulus.Bytes()...)), "e": "AQAB", "kid": "other"})
	signer := *g.keys["rs"]
	signer.ID = "other"
	g.accept("modulus with a zero before", "zeros before n", signer.Sign(forge.JSON(header("RS256", "other")), forge.JSON(claims())), "the same number")
}

// rsaKey is an RSA key of a form that crypto/rsa does not make.
type rsaKey struct{ n, e, d *big.Int }

// rsaOf makes a key of so many bits with this exponent.
func rsaOf(bits int, e int64) *rsaKey {
	k := &rsaKey{e: big.NewInt(e)}
	one := big.NewInt(1)
	for {
		p, err1 := rand.Prime(rand.Reader, bits/2)
		q, err2 := rand.Prime(rand.Reader, bits-bits/2)
		if err1 != nil || err2 != nil {
			panic("no randomness")
		}
		k.n = new(big.Int).Mul(p, q)
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		if k.d = new(big.Int).ModInverse(k.e, phi); k.d != nil && k.n.BitLen() == bits {
			return k
		}
	}
}

// sign makes an RS256 signature (RFC 8017 §8.2.1).
func (k *rsaKey) sign(input string) []byte {
	sum := sha256.Sum256([]byte(input))
	padded := append([]byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}, sum[:]...)
	size := (k.n.BitLen() + 7) / 8
	block := append([]byte{0, 1}, slices.Repeat([]byte{0xff}, size-3-len(padded))...)
	block = append(append(block, 0), padded...)
	return new(big.Int).Exp(new(big.Int).SetBytes(block), k.d, k.n).FillBytes(make([]byte, size))
}

func (g *generator) edgesOfRevocations() {
	revoked := func(code validate.Code, name string, r corpus.Revocation, reason string, change ...object) {
		g.validator("revoked "+name, func(v *corpus.Validator) { v.Revocations = []corpus.Revocation{r} })
		if code == "" {
			g.accept("revocation "+name, "revoked "+name, g.es(change...), reason)
		} else {
			g.refuse(code, "revocation "+name, "revoked "+name, g.es(change...), reason)
		}
	}
	const yes = validate.CodeRevoked
	before := func(seconds float64) *float64 { return &seconds }
	revoked("", "in other case", corpus.Revocation{Kind: "sub", Value: strings.ToUpper(subject)}, "compared with case")
	revoked("", "of a prefix", corpus.Revocation{Kind: "sub", Value: subject[:5]}, "compared exactly")
	revoked("", "of a jti like the sub", corpus.Revocation{Kind: "sub", Value: "t-1"}, "a token is not a subject")
	revoked("", "of a client like the sub", corpus.Revocation{Kind: "client", Value: subject}, "a subject is not a client")
	revoked("", "of a key like the jti", corpus.Revocation{Kind: "key", Value: "t-1"}, "a token is not a key")
	revoked("", "of a client that only azp of another names", corpus.Revocation{Kind: "client", Value: "till"}, "another client")
	revoked(yes, "of a client with both names", corpus.Revocation{Kind: "client", Value: "web-shop"}, "both names agree", object{"azp": "web-shop"})
	revoked(yes, "before a later fraction", corpus.Revocation{Kind: "sub", Value: subject, Before: before(now - 600)}, "issued a fraction before", object{"iat": jsonNumber("1789999399.999999999")})
	revoked("", "before an earlier fraction", corpus.Revocation{Kind: "sub", Value: subject, Before: before(now - 600.5)}, "issued after")
	revoked(yes, "of a key of this issuer", corpus.Revocation{Kind: "key", Value: "es", Issuer: workName}, "limited to this issuer's tenants")
	revoked("", "of a key of another issuer", corpus.Revocation{Kind: "key", Value: "es", Issuer: homeName}, "the same name at another issuer is another key")
	revoked("", "of another tenant by a literal issuer", corpus.Revocation{Kind: "sub", Value: subject, Issuer: workB}, "limited to another tenant")
	revoked("", "limited to the issuer with a slash", corpus.Revocation{Kind: "sub", Value: subject, Issuer: workA + "/"}, "issuers are compared exactly")
	revoked(yes, "of a tenant before a time", corpus.Revocation{Kind: "tenant", Value: tenantA, Before: before(now)}, "issued before")
	revoked("", "of a tenant before an earlier time", corpus.Revocation{Kind: "tenant", Value: tenantA, Before: before(now - 1000)}, "issued after")
	revoked("", "of a sid that the token has as jti", corpus.Revocation{Kind: "sid", Value: "t-1"}, "a token is not a session")
	revoked(yes, "of a sid by escape", corpus.Revocation{Kind: "sid", Value: "sé"}, "compared after unescaping", object{"sid": jsonNumber(`"s\u00e9"`)})
	revoked("", "of an odd sid where only tokens are revoked", corpus.Revocation{Kind: "jti", Value: "x"}, "nobody asks for the session", object{"sid": 7})
	g.validator("revoked and forged", func(v *corpus.Validator) { v.Revocations = []corpus.Revocation{{Kind: "sub", Value: subject}} })
	g.refuse(validate.CodeSignature, "forged for a revoked subject", "revoked and forged", g.token("attacker", header("ES256", "es"), claims()), "who can't sign learns nothing about revocations")
}

func (g *generator) edgesOfConfiguration() {
	g.validator("types by other names", func(v *corpus.Validator) { v.Types = []string{"Application/AT+JWT", "x"} })
	g.accept("type by another name", "types by other names", g.es(), "types are compared without case and application/ on both sides")
	g.validator("two kinds", func(v *corpus.Validator) { v.Types = []string{"at+jwt", "JWT"} })
	g.accept("second type", "two kinds", g.token("es", header("ES256", "es", object{"typ": "jwt"}), claims()), "on the list")
	g.refuse(validate.CodeTyp, "no type where two are allowed", "two kinds", g.token("es", header("ES256", "es", object{"typ": nil}), claims()), "typ must be there")
	g.validator("no clients", func(v *corpus.Validator) { v.Clients = []string{} })
	g.refuse(validate.CodeClient, "empty list of clients", "no clients", g.es(), "nobody is on the list")
	g.validator("no tenants", func(v *corpus.Validator) { v.Issuers[0].Tenants = []string{} })
	g.refuse(validate.CodeTenant, "empty list of tenants", "no tenants", g.es(), "nobody is on the list")
	for name, change := range map[string]func(*corpus.Validator){
		"algorithms": func(v *corpus.Validator) { v.Algorithms = []string{} },
		"types":      func(v *corpus.Validator) { v.Types = []string{} },
		"audiences":  func(v *corpus.Validator) { v.Audiences = []string{} },
		"issuers":    func(v *corpus.Validator) { v.Issuers = []corpus.Issuer{} },
	} {
		g.validator("no "+name, change)
		g.add(corpus.Case{Name: "empty list of " + name, Validator: "no " + name, Token: g.es(), Expect: "reject", Code: corpus.CodeConfig, Reason: "nothing is on the list, so nothing is accepted"})
	}
	g.validator("odd entries", func(v *corpus.Validator) {
		v.Clients = []string{"", "web-shop"}
		v.Revocations = []corpus.Revocation{{Kind: "jti", Value: ""}}
	})
	g.accept("entries that name nothing", "odd entries", g.es(), "nothing is called so")
	g.refuse(validate.CodeClient, "no client where one has no name", "odd entries", g.es(object{"client_id": nil}), "one must be there")
	g.validator("any lifetime", func(v *corpus.Validator) { ages := 1e15; v.MaxLifetime = &ages })
	g.accept("lifetime of ten years", "any lifetime", g.es(object{"exp": now + 315e6}), "as long as allowed")
	g.validator("no lifetime", func(v *corpus.Validator) { zero := 0.0; v.MaxLifetime = &zero })
	g.refuse(validate.CodeLifetime, "no lifetime at all", "no lifetime", g.es(), "longer than allowed")
	g.validator("fresh proofs", func(v *corpus.Validator) { zero := 0.0; v.DPoP = &corpus.DPoP{MaxAge: &zero} })
	token := g.bound("client es")
	g.accept("proof of this moment", "fresh proofs", token, "iat in [now, now + leeway]").Request = request(g.proof("client es", token))
	g.refuse(validate.CodeDPoPTime, "proof of a second ago", "fresh proofs", token, "iat < now").Request = request(g.proof("client es", token, object{"iat": now - 1}))
}
