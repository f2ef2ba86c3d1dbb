package corpus_test

import (
	"strings"

	"seawall/validate"
	"seawall/validate/corpus"
	"seawall/validate/internal/forge"
)

// Attacks on issuers, tenants and the keys bound to them: rules 4 and 5.

func issuerAttacks(g *generator) {
	for name, iss := range map[string]any{
		"missing": nil, "null": null, "number": 1, "array": []string{workA}, "empty": "", "http": strings.Replace(workA, "https", "http", 1),
		"upper host": strings.Replace(workA, "login", "LOGIN", 1), "subdomain": strings.Replace(workA, "login", "evil.login", 1),
		"longer host": strings.Replace(workA, ".example", ".example.evil.example", 1), "user info": strings.Replace(workA, "login", "evil@login", 1),
		"consumer": "https://consumer.example", "port": strings.Replace(workA, ".example", ".example:443", 1), "with space": " " + workA,
	} {
		g.refuse(validate.CodeIssuer, name, "work", g.es(object{"iss": iss}), "issuers are compared exactly")
	}
	g.refuse(validate.CodeIssuer, "slash at the end", "work", g.es(object{"iss": workA + "/"}), "issuers are compared exactly")
	g.refuse(validate.CodeIssuer, "other version", "work", g.es(object{"iss": strings.Replace(workA, "v2.0", "v1.0", 1)}), "issuers are compared exactly")
	for name, c := range map[string]object{
		"tid missing": {"tid": nil}, "tid empty": {"tid": "", "iss": strings.Replace(workName, "{tenantid}", "", 1)},
		"tid of another tenant": {"tid": tenantB}, "iss of another tenant": {"iss": workB}, "tid null": {"tid": null}, "tid number": {"tid": 5},
		"tid upper case":      {"tid": strings.ToUpper(tenantA), "iss": strings.Replace(workName, "{tenantid}", strings.ToUpper(tenantA), 1)},
		"tid upper case only": {"tid": strings.ToUpper(tenantA)}, "tid without dashes": {"tid": strings.ReplaceAll(tenantA, "-", "")},
		"tid in braces": {"tid": "{" + tenantA + "}"}, "tid with space": {"tid": tenantA + " "},
		"tid is a word":   {"tid": "common", "iss": strings.Replace(workName, "{tenantid}", "common", 1)},
		"tid is the mark": {"tid": "{tenantid}", "iss": workName}, "tid is a path": {"tid": "x/../" + tenantA, "iss": strings.Replace(workName, "{tenantid}", "x/../"+tenantA, 1)},
		"tenant not allowed":  {"tid": tenantC, "iss": strings.Replace(workName, "{tenantid}", tenantC, 1)},
		"tid not hexadecimal": {"tid": "zz" + tenantA[2:], "iss": strings.Replace(workName, "{tenantid}", "zz"+tenantA[2:], 1)},
	} {
		g.refuse(validate.CodeTenant, name, "work", g.es(c), "tid is a lower-case UUID that gives iss, and on the list")
	}
	g.accept("second tenant", "work", g.es(object{"iss": workB, "tid": tenantB}), "on the list")
	g.validator("any tenant", func(v *corpus.Validator) { v.Issuers[0].Tenants = nil })
	g.accept("any tenant", "any tenant", g.es(object{"iss": strings.Replace(workName, "{tenantid}", tenantC, 1), "tid": tenantC}), "no list of tenants")
	g.validator("home", func(v *corpus.Validator) { v.Issuers[0].Issuer, v.Issuers[0].Tenants = homeName, nil })
	g.validator("odd tenants", func(v *corpus.Validator) { v.Issuers[0].Tenants = []string{strings.ToUpper(tenantA), "acme", tenantB} })
	g.accept("beside odd tenants", "odd tenants", g.es(object{"iss": workB, "tid": tenantB}), "on the list, beside entries that nothing matches")
	g.refuse(validate.CodeTenant, "listed in upper case", "odd tenants", g.es(), "tenants are compared with case")
	home := claims(object{"iss": homeName, "tid": homeID})
	g.accept("exact", "home", g.token("home", header("ES256", "home"), home), "an issuer without a place for tenants")
	g.accept("exact without tid", "home", g.token("home", header("ES256", "home"), claims(object{"iss": homeName, "tid": nil})), "nothing asks for tid")
	g.refuse(validate.CodeClaims, "exact with tid of a wrong form", "home", g.token("home", header("ES256", "home"), claims(object{"iss": homeName, "tid": 5})), "tid is a string where it is there")
	g.refuse(validate.CodeIssuer, "work token at home", "home", g.es(), "another issuer")
	g.validator("home tenants", func(v *corpus.Validator) { v.Issuers[0].Issuer, v.Issuers[0].Tenants = homeName, []string{homeID} })
	g.accept("exact and listed", "home tenants", g.token("home", header("ES256", "home"), home), "tid is on the list")
	g.refuse(validate.CodeTenant, "exact and not listed", "home tenants", g.token("home", header("ES256", "home"), claims(object{"iss": homeName, "tid": tenantA})), "tid is not on the list")
}

func crossIssuerAttacks(g *generator) {
	sign := func(kid string, c object) string { return g.token(kid, header(g.keys[kid].Alg, kid), c) }
	homeClaims := claims(object{"iss": homeName, "tid": homeID})
	g.refuse(validate.CodeKeyIssuer, "consumer key for an enterprise token", "work", sign("home", claims()), "Storm-0558: the key belongs to another issuer and sits in the same set")
	g.validator("home", func(v *corpus.Validator) { v.Issuers[0].Issuer, v.Issuers[0].Tenants = homeName, nil })
	g.accept("literal key", "home", sign("home", homeClaims), "the key that names the issuer")
	g.refuse(validate.CodeKeyIssuer, "template key where one is named", "home", sign("es", homeClaims), "Storm-0558 backwards: a key for all tenants where one key names the issuer")
	unbound := g.keys["other"].JWK()
	delete(unbound, "issuer")
	g.validator("home unbound", func(v *corpus.Validator) {
		v.Issuers[0].Issuer, v.Issuers[0].Tenants = homeName, nil
		v.Issuers[0].JWKS = forge.Set(nil, g.jwks(unbound)...)
	})
	g.refuse(validate.CodeKeyIssuer, "unbound key where one is named", "home unbound", sign("other", homeClaims), "a key for anybody where one key names the issuer")
	g.withKeys("work unbound", unbound)
	g.accept("unbound key", "work unbound", sign("other", claims()), "no key names this issuer literally")
	bound := g.keys["other"].JWK()
	bound["issuer"] = workB
	g.withKeys("tenant bound", bound)
	g.accept("key of the tenant", "tenant bound", sign("other", claims(object{"iss": workB, "tid": tenantB})), "a key for one tenant, and its token")
	g.refuse(validate.CodeKeyIssuer, "key of another tenant", "tenant bound", sign("other", claims()), "a key for one tenant, and another's token")
	g.refuse(validate.CodeKeyIssuer, "shared key for a tenant with its own", "tenant bound", sign("es", claims(object{"iss": workB, "tid": tenantB})), "a tenant with its own key is not served by the shared one")
	slash := g.keys["other"].JWK()
	slash["issuer"] = workA + "/"
	g.withKeys("slash", slash)
	g.refuse(validate.CodeKeyIssuer, "key issuer with slash", "slash", sign("other", claims()), "the key's issuer is compared exactly")
	number := g.keys["other"].JWK()
	number["issuer"] = 7
	g.withKeys("number", number)
	g.refuse(validate.CodeKeyUnusable, "key issuer of a wrong form", "number", sign("other", claims()), "a binding that can't be read is not no binding")

	// Two issuers use the same kid for different keys.
	second := *g.keys["attacker"]
	second.ID, second.Issuer = "es", "https://partner.example"
	g.validator("two issuers", func(v *corpus.Validator) {
		v.Issuers = append(v.Issuers, corpus.Issuer{Issuer: "https://partner.example", JWKS: forge.Set(nil, second.JWK())})
	})
	partner := claims(object{"iss": "https://partner.example", "tid": nil})
	g.accept("same kid first issuer", "two issuers", g.es(), "each issuer has its own keys")
	g.accept("same kid second issuer", "two issuers", second.Sign(forge.JSON(header("ES256", "es")), forge.JSON(partner)), "each issuer has its own keys")
	g.refuse(validate.CodeSignature, "partner key for an enterprise token", "two issuers", second.Sign(forge.JSON(header("ES256", "es")), forge.JSON(claims())), "the same kid at another issuer is another key")
	g.refuse(validate.CodeSignature, "enterprise key for a partner token", "two issuers", g.token("es", header("ES256", "es"), partner), "the same kid at another issuer is another key")
	g.refuse(validate.CodeKeyUnknown, "key that only the other issuer has", "two issuers", g.token("ed", header("EdDSA", "ed"), partner), "keys are not looked up across issuers")
	g.validator("exact and template", func(v *corpus.Validator) {
		v.Issuers[0].Tenants = append(v.Issuers[0].Tenants, homeID)
		v.Issuers = append(v.Issuers, corpus.Issuer{Issuer: homeName, JWKS: forge.Set(nil, g.keys["home"].JWK())})
	})
	g.refuse(validate.CodeKeyUnknown, "template beside an exact issuer", "exact and template", sign("es", homeClaims), "the issuer named exactly is the one that counts")
	g.accept("exact beside a template", "exact and template", sign("home", homeClaims), "the issuer named exactly is the one that counts")
}
