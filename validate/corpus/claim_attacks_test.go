package corpus_test

import (
	"strings"

	"seawall/validate"
	"seawall/validate/corpus"
	"seawall/validate/internal/forge"
)

// Attacks with claims: rules 7 to 9.

func claimAttacks(g *generator) {
	for _, name := range []string{"sub", "jti", "azp", "client_id"} {
		for kind, value := range map[string]any{
			"null": null, "number": 1, "true": true, "array": []string{subject}, "object": object{}, "empty": "", "with nul": "a\x00b", "with line end": "a\nb",
			"with delete": "a\x7fb", "with c1 control": "a\u0085b",
		} {
			g.refuse(validate.CodeClaims, name+" "+kind, "work", g.es(object{name: value}), "not a non-empty text without control characters")
		}
	}
	g.refuse(validate.CodeClaims, "sub missing", "work", g.es(object{"sub": nil}), "required")
	g.accept("jti missing", "work", g.es(object{"jti": nil}), "not required")
	g.accept("client missing", "work", g.es(object{"client_id": nil}), "not required")
	g.accept("sid of any form", "work", g.es(object{"sid": 5}), "nobody looks at it here")
	g.accept("scope of any form", "work", g.es(object{"scope": []string{"a"}}), "nobody looks at it here")
	g.add(corpus.Case{Name: "sub in another script", Validator: "work", Token: g.es(object{"sub": "用户 <ü>&\u2028"}), Expect: "accept", Subject: "用户 <ü>&\u2028", Reason: "any text without control characters"})
}

func audienceAttacks(g *generator) {
	for name, aud := range map[string]any{
		"missing": nil, "null": null, "number": 1, "true": true, "object": object{audience: true}, "empty": "", "empty list": []string{}, "other": "https://pay.work.example",
		"longer": audience + ".evil.example", "slash": audience + "/", "prefix": audience[:20], "upper case": "HTTPS://API.WORK.EXAMPLE", "comma": audience + ",x", "space": audience + " x",
		"list of others": []string{"a", "b"}, "nested list": []any{[]string{audience}}, "list with a number": []any{audience, 1}, "list with null": []any{null, audience}, "list with an object": []any{audience, object{}},
	} {
		g.refuse(validate.CodeAudience, name, "work", g.es(object{"aud": aud}), "aud is a text or a list of texts, one of them exactly ours")
	}
	g.accept("list", "work", g.es(object{"aud": []string{"https://a.example", audience}}), "one of them is ours")
	g.accept("list of one", "work", g.es(object{"aud": []string{audience}}), "one of them is ours")
	g.accept("list with the same twice", "work", g.es(object{"aud": []string{audience, audience}}), "one of them is ours")
	g.accept("escaped", "work", g.token("es", header("ES256", "es"), replace(claims(), audience, `https:\/\/api.work.ex\u0061mple`)), "compared after unescaping")
	g.validator("two audiences", func(v *corpus.Validator) { v.Audiences = []string{"https://first.example", audience} })
	g.accept("second of ours", "two audiences", g.es(), "any of ours will do")
}

func timeAttacks(g *generator) {
	in := func(code validate.Code, name string, change object, reason string) {
		if code == "" {
			g.accept(name, "work", g.es(change), reason)
		} else {
			g.refuse(code, name, "work", g.es(change), reason)
		}
	}
	for _, name := range []string{"exp", "iat", "nbf"} {
		for kind, value := range map[string]any{
			"null": null, "text": "1790003000", "true": true, "list": []int{now}, "object": object{}, "negative": -1, "negative fraction": jsonNumber("-0.000001"), "negative exponent form": jsonNumber("-1e1"),
			"year 10000": 253402300800, "beyond int64": jsonNumber("9223372036854775808"), "beyond uint64": jsonNumber("18446744073709551617"), "beyond double": jsonNumber("1e400"),
			"huge exponent": jsonNumber("1e999999999999999999999"),
		} {
			in(validate.CodeClaims, name+" "+kind, object{name: value}, "not a time")
		}
	}
	in(validate.CodeClaims, "exp missing", object{"exp": nil}, "required")
	in(validate.CodeClaims, "iat missing", object{"iat": nil}, "required")
	in("", "nbf missing", object{"nbf": nil}, "not required")
	in("", "exp in the leeway", object{"exp": now - 29}, "now < exp + leeway")
	in(validate.CodeExpired, "exp at the leeway", object{"exp": now - 30}, "now = exp + leeway")
	in("", "exp a fraction in the leeway", object{"exp": jsonNumber("1789999970.000000001")}, "now < exp + leeway")
	in("", "exp a fraction of a nanosecond in the leeway", object{"exp": jsonNumber("1789999970.0000000000001")}, "no digit is lost")
	in(validate.CodeExpired, "exp a fraction over the leeway", object{"exp": jsonNumber("1789999969.999999999999")}, "now > exp + leeway")
	in(validate.CodeExpired, "expired", object{"exp": now - 100}, "expired")
	in("", "iat at the leeway", object{"iat": now + 30}, "iat = now + leeway")
	in(validate.CodeNotYetValid, "iat over the leeway", object{"iat": now + 31}, "iat > now + leeway")
	in(validate.CodeNotYetValid, "iat a fraction over the leeway", object{"iat": jsonNumber("1790000030.000000001")}, "iat > now + leeway")
	in(validate.CodeNotYetValid, "iat a fraction of a nanosecond over the leeway", object{"iat": jsonNumber("1790000030.00000000000001")}, "no digit is lost")
	in("", "nbf at the leeway", object{"nbf": now + 30}, "nbf = now + leeway")
	in(validate.CodeNotYetValid, "nbf over the leeway", object{"nbf": now + 31}, "nbf > now + leeway")
	in("", "longest lifetime", object{"exp": now - 600 + 5400}, "as long as allowed")
	in(validate.CodeLifetime, "too long", object{"exp": now - 600 + 5401}, "a second too long")
	in(validate.CodeLifetime, "a fraction too long", object{"exp": jsonNumber("1790004800.5")}, "half a second too long")
	in(validate.CodeLifetime, "years", object{"exp": now + 1e8}, "far too long")
	in(validate.CodeLifetime, "year 9999", object{"exp": 253402300799}, "far too long")
	in(validate.CodeLifetime, "exp is iat", object{"exp": now - 600}, "iat < exp")
	in(validate.CodeLifetime, "exp before iat", object{"exp": now - 5, "iat": now}, "iat < exp")
	in(validate.CodeLifetime, "iat zero", object{"iat": 0}, "issued in 1970, so too long")
	in(validate.CodeLifetime, "iat minus zero", object{"iat": jsonNumber("-0")}, "minus zero is zero")
	in("", "exponent", object{"exp": jsonNumber("1.790003e9")}, "a number in another form")
	in("", "negative exponent", object{"exp": jsonNumber("1790003000000e-3")}, "a number in another form")
	in("", "capital exponent with sign", object{"exp": jsonNumber("179000.3E+4")}, "a number in another form")
	in("", "trailing zeros", object{"exp": jsonNumber("1790003000.000000000000000000000")}, "a number in another form")
	in("", "fractions", object{"exp": jsonNumber("1790003000.25"), "iat": jsonNumber("1789999400.5"), "nbf": jsonNumber("1789999400.75")}, "fractions are fine")
	g.validator("no leeway", func(v *corpus.Validator) { zero := 0.0; v.Leeway = &zero })
	g.accept("no leeway in time", "no leeway", g.es(object{"exp": now + 1, "iat": now, "nbf": now}), "in time")
	g.refuse(validate.CodeExpired, "no leeway exp now", "no leeway", g.es(object{"exp": now}), "now < exp")
	g.refuse(validate.CodeNotYetValid, "no leeway iat ahead", "no leeway", g.es(object{"iat": now + 1}), "iat <= now")
	late := g.refuse(validate.CodeExpired, "clock of the case", "work", g.es(), "the case's own clock")
	at := float64(now + 5000)
	late.Now = &at
}

func clientAttacks(g *generator) {
	g.validator("clients", func(v *corpus.Validator) { v.Clients = []string{"web-shop", "till"} })
	g.accept("client_id listed", "clients", g.es(), "on the list")
	g.accept("azp listed", "clients", g.es(object{"client_id": nil, "azp": "till"}), "on the list")
	g.accept("both agree", "clients", g.es(object{"azp": "web-shop"}), "both are there and agree")
	g.refuse(validate.CodeClient, "not listed", "clients", g.es(object{"client_id": "intruder"}), "not on the list")
	g.refuse(validate.CodeClient, "other case", "clients", g.es(object{"client_id": "Web-Shop"}), "compared exactly")
	g.refuse(validate.CodeClient, "neither", "clients", g.es(object{"client_id": nil}), "one of them must be there")
	g.refuse(validate.CodeClient, "disagree", "clients", g.es(object{"azp": "till"}), "both are listed, but they differ")
	g.refuse(validate.CodeClient, "disagree without a list", "work", g.es(object{"azp": "till"}), "they must agree in any case")
	g.refuse(validate.CodeClaims, "azp empty", "clients", g.es(object{"azp": ""}), "an empty azp does not fall back to client_id")
}

func revocationAttacks(g *generator) {
	before := func(seconds float64) *float64 { return &seconds }
	revoked := func(code validate.Code, name string, r corpus.Revocation, reason string, change ...object) {
		g.validator(name, func(v *corpus.Validator) { v.Revocations = []corpus.Revocation{{Kind: "jti", Value: "another"}, r} })
		if code == "" {
			g.accept(name, name, g.es(change...), reason)
		} else {
			g.refuse(code, name, name, g.es(change...), reason)
		}
	}
	const yes = validate.CodeRevoked
	revoked(yes, "jti", corpus.Revocation{Kind: "jti", Value: "t-1"}, "this token")
	revoked(yes, "sub", corpus.Revocation{Kind: "sub", Value: subject}, "this subject")
	revoked(yes, "sid", corpus.Revocation{Kind: "sid", Value: "s-1"}, "this session", object{"sid": "s-1"})
	revoked(yes, "client", corpus.Revocation{Kind: "client", Value: "web-shop"}, "this client")
	revoked(yes, "client by azp", corpus.Revocation{Kind: "client", Value: "till"}, "this client", object{"client_id": nil, "azp": "till"})
	revoked(yes, "tenant", corpus.Revocation{Kind: "tenant", Value: tenantA}, "this tenant")
	revoked(yes, "key", corpus.Revocation{Kind: "key", Value: "es"}, "this key")
	revoked("", "other jti", corpus.Revocation{Kind: "jti", Value: "t-10"}, "another token")
	revoked("", "other kind", corpus.Revocation{Kind: "jti", Value: subject}, "a subject is not a token")
	revoked("", "other tenant", corpus.Revocation{Kind: "tenant", Value: tenantB}, "another tenant")
	revoked("", "other key", corpus.Revocation{Kind: "key", Value: "ed"}, "another key")
	revoked("", "no sid", corpus.Revocation{Kind: "sid", Value: "s-1"}, "the token has no session")
	revoked(validate.CodeClaims, "sid of a wrong form", corpus.Revocation{Kind: "sid", Value: "s-1"}, "which session is it", object{"sid": []string{"s-1"}})
	revoked(yes, "escaped", corpus.Revocation{Kind: "sub", Value: "emp-\"1"}, "compared after unescaping", object{"sub": "emp-\"1"})
	revoked(yes, "of this issuer", corpus.Revocation{Kind: "sub", Value: subject, Issuer: workA}, "limited to this issuer")
	revoked(yes, "of any tenant", corpus.Revocation{Kind: "sub", Value: subject, Issuer: workName}, "limited to this issuer's tenants")
	revoked("", "of another issuer", corpus.Revocation{Kind: "sub", Value: subject, Issuer: workB}, "limited to another issuer")
	revoked(yes, "before a later time", corpus.Revocation{Kind: "sub", Value: subject, Before: before(now)}, "issued before")
	revoked("", "before its time", corpus.Revocation{Kind: "sub", Value: subject, Before: before(now - 600)}, "issued at that time, not before")
	revoked(yes, "before a fraction later", corpus.Revocation{Kind: "sub", Value: subject, Before: before(now - 599.5)}, "issued before")
	revoked("", "before the epoch", corpus.Revocation{Kind: "sub", Value: subject, Before: before(0)}, "nothing was issued before 1970")
	g.validator("two entries", func(v *corpus.Validator) {
		v.Revocations = []corpus.Revocation{{Kind: "sub", Value: subject, Before: before(1)}, {Kind: "sub", Value: subject, Issuer: workB}, {Kind: "sub", Value: subject, Before: before(now)}}
	})
	g.refuse(yes, "third of three entries", "two entries", g.es(), "every entry counts")
}

// replace gives the JSON of claims with one text replaced.
func replace(c object, old, fresh string) string {
	return strings.Replace(string(forge.JSON(c)), old, fresh, 1)
}
