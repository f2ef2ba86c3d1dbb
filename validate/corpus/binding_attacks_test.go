package corpus_test

import (
	"maps"
	"strings"

	"seawall/validate"
	"seawall/validate/corpus"
	"seawall/validate/internal/forge"
)

// Attacks with tokens that are bound to their sender: rules 9 and 10, the request's side.

const (
	items       = audience + "/items"
	certificate = "T1HVUG0o9NnsQjP8sDYFebW9Q6gd65a4S8991mKp1Wg"
	another     = "rkmGClbf3asoNvGahXCPSxTyr1dYzJMigZPI9tNtygo"
)

// jkt gives the thumbprint of a client's key, as cnf has it.
func (g *generator) jkt(kid string) string {
	sum := g.keys[kid].Thumbprint()
	return forge.Text(sum[:])
}

// bound gives the standard token, bound to a client's key.
func (g *generator) bound(kid string, changes ...object) string {
	return g.es(append([]object{{"cnf": object{"jkt": g.jkt(kid)}}}, changes...)...)
}

// proofClaims gives the standard claims of a proof for a token, changed.
func proofClaims(token string, changes ...object) object {
	c := object{"jti": "p-1", "htm": "GET", "htu": items, "iat": now, "ath": forge.AccessTokenHash(token)}
	for _, change := range changes {
		maps.Copy(c, change)
	}
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// proof gives the standard proof for a token by a client's key, with claims changed.
func (g *generator) proof(kid, token string, changes ...object) string {
	return g.token(kid, g.keys[kid].ProofHeader(), proofClaims(token, changes...))
}

// request is how a client of DPoP presents a token.
func request(proofs ...string) *corpus.Request {
	return &corpus.Request{Scheme: "DPoP", Method: "GET", URL: items, DPoP: proofs}
}

// bindings adds the validators that demand sender bindings.
func (g *generator) bindings() {
	age, word := 120.0, "n-0S6_WzA2Mj"
	g.validator("dpop", func(v *corpus.Validator) { v.DPoP = &corpus.DPoP{Required: true, MaxAge: &age} })
	g.validator("dpop nonce", func(v *corpus.Validator) { v.DPoP = &corpus.DPoP{MaxAge: &age, Nonce: &word} })
	g.validator("mtls", func(v *corpus.Validator) { v.MTLS = true })
	g.validator("both", func(v *corpus.Validator) { v.DPoP, v.MTLS = &corpus.DPoP{Required: true, MaxAge: &age}, true })
}

func bindingAttacks(g *generator) {
	g.bindings()
	g.accept("none", "work", g.es(), "a plain bearer token")
	for _, scheme := range []string{"Bearer", "bearer", "BEARER"} {
		g.accept("scheme "+scheme+map[bool]string{true: " in capitals"}[scheme == "BEARER"], "work", g.es(), "schemes are compared without case").Request = &corpus.Request{Scheme: scheme, Method: "GET", URL: items}
	}
	g.accept("stray proof and certificate", "work", g.es(), "nothing asks for them").Request = &corpus.Request{Scheme: "Bearer", Method: "GET", URL: items, DPoP: []string{"x", "y"}, ClientCert: certificate}
	g.accept("cnf of the actor", "work", g.es(object{"act": object{"sub": "a", "cnf": object{"kid": "k"}}}), "a binding of somebody else")
	g.accept("cnf in capitals", "work", g.es(object{"CNF": object{"kid": "k"}}), "names are compared with case: an unknown member")
	for name, cnf := range map[string]any{
		"null": null, "text": "jkt", "number": 1, "true": true, "list": []any{object{"jkt": g.jkt("client es")}}, "empty": object{},
	} {
		g.refuse(validate.CodeBindingForm, "cnf "+name, "work", g.es(object{"cnf": cnf}), "bound to something that nobody can show")
	}
	whole := g.jkt("client es")
	for name, value := range map[string]any{
		"null": null, "number": 7, "object": object{}, "list": []string{whole}, "empty": "", "short": whole[:42], "long": whole + "A", "padded": whole + "=",
		"other alphabet": "+/" + whole[2:], "unused bits": whole[:42] + "B", "hexadecimal": strings.Repeat("ab", 32), "with space": whole[:42] + " ",
	} {
		g.refuse(validate.CodeBindingForm, "jkt "+name, "work", g.es(object{"cnf": object{"jkt": value}}), "no thumbprint is spelled like this").Request = request()
		g.refuse(validate.CodeBindingForm, "x5t "+name, "work", g.es(object{"cnf": object{"x5t#S256": value}}), "no thumbprint is spelled like this").Request = &corpus.Request{Scheme: "Bearer", ClientCert: certificate}
	}
	token := g.es(object{"cnf": object{"jkt": g.jkt("client es"), "jwk": object{}}})
	g.refuse(validate.CodeBindingUnknown, "jkt and unknown", "work", token, "every method must be known, though one is satisfied").Request = request(g.proof("client es", token))
	g.refuse(validate.CodeBindingUnknown, "x5t and unknown", "work", g.es(object{"cnf": object{"x5t#S256": certificate, "x": 1}}), "every method must be known, though one is satisfied").Request = &corpus.Request{ClientCert: certificate}
	for name, method := range map[string]string{"jwk": "jwk", "kid": "kid", "jku": "jku", "jwe": "jwe", "x5t sha1": "x5t", "x5t lower case": "x5t#s256", "x5t of sha512": "x5t#S512", "jkt in capitals": "JKT", "empty name": ""} {
		g.refuse(validate.CodeBindingUnknown, "only "+name, "work", g.es(object{"cnf": object{method: whole}}), "a method that is not known here")
	}
	for name, cnf := range map[string]string{"twice": `{"jkt":"` + whole + `"},"cnf":{"jkt":"` + whole + `"}`, "member twice": `{"jkt":"` + whole + `","jkt":"` + whole + `"}`, "member twice by escape": `{"jkt":"` + whole + `","j\u006bt":"` + whole + `"}`} {
		payload := string(forge.JSON(claims(object{"cnf": 0})))
		g.refuse(validate.CodeJSON, name, "work", g.token("es", header("ES256", "es"), strings.Replace(payload, `"cnf":0`, `"cnf":`+cnf, 1)), "a member twice")
	}
	g.refuse(validate.CodeDPoPScheme, "jkt without request", "work", g.bound("client es"), "a bound token is no bearer token")
	token = g.bound("client es")
	g.refuse(validate.CodeDPoPScheme, "jkt as bearer with proof", "work", token, "a bound token is no bearer token, though the proof is good").Request = &corpus.Request{Scheme: "Bearer", Method: "GET", URL: items, DPoP: []string{g.proof("client es", token)}}
	token = g.es()
	g.refuse(validate.CodeDPoPUnbound, "dpop scheme without binding", "work", token, "a proof by a key that the token does not name").Request = request(g.proof("client es", token))
	g.refuse(validate.CodeDPoPUnbound, "dpop scheme without anything", "work", token, "no key that a proof could be by").Request = request()
	g.refuse(validate.CodeRequest, "unknown scheme", "work", token, "neither Bearer nor DPoP").Request = &corpus.Request{Scheme: "MAC"}

	g.refuse(validate.CodeDPoPRequired, "dpop required", "dpop", g.es(), "the token is not bound to a key")
	g.refuse(validate.CodeDPoPRequired, "dpop required with proof", "dpop", token, "the token is not bound to a key, whatever comes with it").Request = request(g.proof("client es", token))
	g.refuse(validate.CodeDPoPRequired, "dpop required and certificate", "dpop", g.es(object{"cnf": object{"x5t#S256": certificate}}), "another binding than the one required").Request = &corpus.Request{Scheme: "Bearer", ClientCert: certificate}
	g.refuse(validate.CodeMTLSRequired, "mtls required", "mtls", g.es(), "the token is not bound to a certificate")
	token = g.bound("client es")
	g.refuse(validate.CodeMTLSRequired, "mtls required and key", "mtls", token, "another binding than the one required").Request = request(g.proof("client es", token))

	twofold := g.es(object{"cnf": object{"jkt": g.jkt("client es"), "x5t#S256": certificate}})
	both := func(cert string, proofs ...string) *corpus.Request {
		r := request(proofs...)
		r.ClientCert = cert
		return r
	}
	good := g.proof("client es", twofold)
	for _, validator := range []string{"work", "both"} {
		g.accept("both shown "+validator, validator, twofold, "both methods are satisfied").Request = both(certificate, good)
		g.refuse(validate.CodeMTLSMissing, "both without certificate "+validator, validator, twofold, "one of two methods").Request = both("", good)
		g.refuse(validate.CodeMTLSMismatch, "both with another certificate "+validator, validator, twofold, "one of two methods").Request = both(another, good)
		g.refuse(validate.CodeDPoPMissing, "both without proof "+validator, validator, twofold, "one of two methods").Request = both(certificate)
		g.refuse(validate.CodeDPoPThumbprint, "both with another key "+validator, validator, twofold, "one of two methods").Request = both(certificate, g.proof("client two", twofold))
		g.refuse(validate.CodeDPoPScheme, "both as bearer "+validator, validator, twofold, "one of two methods").Request = &corpus.Request{Scheme: "Bearer", Method: "GET", URL: items, ClientCert: certificate}
	}
	g.refuse(validate.CodeMTLSRequired, "both required and one bound", "both", token, "one of two methods").Request = both(certificate, g.proof("client es", token))
}

func mtlsAttacks(g *generator) {
	g.bindings()
	token := g.es(object{"cnf": object{"x5t#S256": certificate}})
	with := func(cert string) *corpus.Request {
		return &corpus.Request{Scheme: "Bearer", Method: "GET", URL: items, ClientCert: cert}
	}
	for _, validator := range []string{"work", "mtls"} {
		g.accept("shown "+validator, validator, token, "the certificate fits").Request = with(certificate)
		g.refuse(validate.CodeMTLSMissing, "none "+validator, validator, token, "no certificate was shown").Request = with("")
		g.refuse(validate.CodeMTLSMissing, "no request "+validator, validator, token, "no certificate was shown")
		g.refuse(validate.CodeMTLSMismatch, "another "+validator, validator, token, "another certificate").Request = with(another)
	}
	g.accept("without scheme", "work", token, "the certificate fits").Request = &corpus.Request{ClientCert: certificate}
	g.refuse(validate.CodeMTLSMismatch, "other case", "work", token, "thumbprints are bytes").Request = with("t" + certificate[1:])
	g.refuse(validate.CodeMTLSMissing, "padded", "work", token, "not a thumbprint").Request = with(certificate + "=")
	g.refuse(validate.CodeMTLSMissing, "short", "work", token, "not a thumbprint").Request = with(certificate[:42])
	g.refuse(validate.CodeMTLSMissing, "hexadecimal", "work", token, "not a thumbprint").Request = with(strings.Repeat("0f", 32))
	g.refuse(validate.CodeDPoPUnbound, "dpop scheme", "work", token, "the token is bound to a certificate and to no key").Request = &corpus.Request{Scheme: "DPoP", Method: "GET", URL: items, ClientCert: certificate, DPoP: []string{g.proof("client es", token)}}
	g.refuse(validate.CodeMTLSRequired, "certificate without binding", "mtls", g.es(), "a certificate that the token does not name").Request = with(certificate)
	g.refuse(validate.CodeExpired, "expired", "mtls", g.es(object{"cnf": object{"x5t#S256": certificate}, "exp": now - 100}), "a binding replaces no other rule").Request = with(certificate)
}

func dpopAttacks(g *generator) {
	g.bindings()
	for _, kid := range []string{"client es", "client rs", "client ps", "client ed"} {
		token := g.bound(kid)
		for _, validator := range []string{"work", "dpop"} {
			g.accept("proof by "+kid+" "+validator, validator, token, "a good proof").Request = request(g.proof(kid, token))
		}
	}
	token := g.bound("client es")
	send := func(code validate.Code, name, validator string, r *corpus.Request, reason string) *corpus.Case {
		c := (*corpus.Case)(nil)
		if code == "" {
			c = g.accept(name, validator, token, reason)
		} else {
			c = g.refuse(code, name, validator, token, reason)
		}
		c.Request = r
		return c
	}
	good := g.proof("client es", token)
	at := func(method, url string, proofs ...string) *corpus.Request {
		return &corpus.Request{Scheme: "DPoP", Method: method, URL: url, DPoP: proofs}
	}
	lower := request(good)
	lower.Scheme = "dpop"
	send("", "scheme in lower case", "dpop", lower, "schemes are compared without case")

	send(validate.CodeDPoPMissing, "no proof", "dpop", request(), "no proof")
	send(validate.CodeDPoPMany, "proof twice", "dpop", request(good, good), "exactly one proof")
	send(validate.CodeDPoPMany, "two proofs", "dpop", request(good, g.proof("client es", token, object{"jti": "p-2"})), "exactly one proof")
	send(validate.CodeDPoPMany, "empty first", "dpop", request("", good), "an empty header hides no second one")
	send(validate.CodeDPoPMany, "empty second", "dpop", request(good, ""), "exactly one proof")
	send(validate.CodeDPoPForm, "empty", "dpop", request(""), "an empty proof")
	send(validate.CodeDPoPForm, "joined by comma", "dpop", request(good+", "+good), "two proofs in one header")
	send(validate.CodeDPoPForm, "space before", "dpop", request(" "+good), "white space")
	send(validate.CodeDPoPForm, "space after", "dpop", request(good+" "), "white space")

	send(validate.CodeDPoPMethod, "other method", "dpop", at("POST", items, good), "made for GET")
	send(validate.CodeDPoPMethod, "method in lower case", "dpop", at("get", items, good), "methods are compared with case (RFC 9110 §9.1)")
	send(validate.CodeDPoPMethod, "proof's method in lower case", "dpop", request(g.proof("client es", token, object{"htm": "get"})), "methods are compared with case")
	send(validate.CodeDPoPMethod, "method with space", "dpop", request(g.proof("client es", token, object{"htm": "GET "})), "compared exactly")
	send(validate.CodeDPoPMethod, "no method", "dpop", at("", items, good), "the request has none")
	send("", "method of any name", "dpop", at("PURGE", items, g.proof("client es", token, object{"htm": "PURGE"})), "any method")

	url := func(code validate.Code, name, htu, called, reason string) {
		send(code, "url "+name, "dpop", at("GET", called, g.proof("client es", token, object{"htu": htu})), reason)
	}
	url("", "with query", items, items+"?page=2", "the query does not count")
	url("", "with fragment", items, items+"#top", "the fragment does not count")
	url("", "with query and fragment", items, items+"?a=b#c?d", "neither counts")
	url("", "with empty query", items, items+"?", "the query does not count")
	url("", "query with slash", items, items+"?next=https://evil.example/", "the query does not count")
	url("", "default port in proof", "https://api.work.example:443/items", items, "https means port 443 (RFC 3986 §6.2.3)")
	url("", "default port in request", items, "https://api.work.example:443/items", "https means port 443")
	url("", "empty port", "https://api.work.example:/items", items, "an empty port is the default one")
	url("", "scheme in capitals", "HTTPS://api.work.example/items", items, "scheme and host have no case (RFC 3986 §6.2.2.1)")
	url("", "host in capitals", "https://API.Work.Example/items", items, "scheme and host have no case")
	url("", "no path", audience, audience+"/", "an empty path is the root (RFC 3986 §6.2.3)")
	url("", "root", audience+"/", audience+"?x=1", "an empty path is the root")
	url("", "encoded path", audience+"/a%2Fb%20c", audience+"/a%2Fb%20c?x", "the path as it was written")
	for name, htu := range map[string]string{
		"other path": audience + "/orders", "longer path": items + "/1", "shorter path": audience + "/item", "slash at the end": items + "/", "double slash": audience + "//items",
		"dot segment": audience + "/./items", "dot segments": audience + "/x/../items", "encoded letter": audience + "/%69tems", "path in capitals": audience + "/Items",
		"other host": "https://pay.work.example/items", "host with dot": "https://api.work.example./items", "host prefix": "https://api.work.example.evil.example/items", "other port": "https://api.work.example:8443/items",
		"port with zero": "https://api.work.example:0443/items", "http": "http://api.work.example/items", "http port 443": "http://api.work.example:443/items", "user": "https://user@api.work.example/items",
		"user and password": "https://api.work.example:x@evil.example/items", "relative": "/items", "no scheme": "//api.work.example/items", "other scheme": "ftp://api.work.example/items",
		"with query in proof": items + "?page=2", "with fragment in proof": items + "#x", "with empty query in proof": items + "?", "space": items + " ", "backslash": "https:\\\\api.work.example\\items", "no host": "https:///items", "text": "items",
	} {
		url(validate.CodeDPoPURL, name, htu, items, "not the URL of the request")
	}
	url(validate.CodeDPoPURL, "encoded slash in request", audience+"/a/b", audience+"/a%2Fb", "a decoded path is another path")
	url(validate.CodeDPoPURL, "hexadecimal in other case", audience+"/a%2Fb", audience+"/a%2fb", "nothing in a path is made equal")
	url(validate.CodeDPoPURL, "no request url", items, "", "the request has none")

	other := g.bound("client es", object{"jti": "t-2"})
	hash := forge.AccessTokenHash(token)
	for name, ath := range map[string]any{
		"of another token": forge.AccessTokenHash(other), "of the signing input": forge.AccessTokenHash(token[:strings.LastIndexByte(token, '.')]), "of nothing": forge.AccessTokenHash(""), "of the header line": forge.AccessTokenHash("DPoP " + token),
		"padded": hash + "=", "cut": hash[:42], "the token": "t", "in other case": strings.ToLower(hash),
	} {
		send(validate.CodeDPoPToken, "ath "+name, "dpop", request(g.proof("client es", token, object{"ath": ath})), "made for another token")
	}

	age := func(code validate.Code, name, validator string, iat any, reason string) {
		send(code, "iat "+name, validator, request(g.proof("client es", token, object{"iat": iat})), reason)
	}
	age("", "at the oldest", "dpop", now-120, "iat = now - max_age")
	age(validate.CodeDPoPTime, "over the oldest", "dpop", now-121, "iat < now - max_age")
	age(validate.CodeDPoPTime, "a fraction over the oldest", "dpop", jsonNumber("1789999879.999999999"), "no digit is lost")
	age("", "a fraction inside", "dpop", jsonNumber("1789999880.000000001"), "a fraction is fine")
	age("", "ahead", "dpop", now+30, "iat = now + leeway")
	age(validate.CodeDPoPTime, "too far ahead", "dpop", now+31, "iat > now + leeway")
	age(validate.CodeDPoPTime, "a fraction too far ahead", "dpop", jsonNumber("1790000030.00000000000001"), "no digit is lost")
	age("", "at the usual oldest", "work", now-300, "without a dpop member max_age is 300 seconds")
	age(validate.CodeDPoPTime, "over the usual oldest", "work", now-301, "without a dpop member max_age is 300 seconds")
	age(validate.CodeDPoPTime, "zero", "dpop", 0, "made in 1970")
	age("", "in another form", "dpop", jsonNumber("1.79e9"), "a number in another form")
	shift := send(validate.CodeDPoPTime, "clock of the case", "dpop", request(good), "the case's own clock")
	later := float64(now + 121)
	shift.Now = &later

	withNonce := func(code validate.Code, name, validator string, value any, reason string) {
		send(code, "nonce "+name, validator, request(g.proof("client es", token, object{"nonce": value})), reason)
	}
	withNonce("", "right", "dpop nonce", "n-0S6_WzA2Mj", "the nonce that is asked for")
	withNonce(validate.CodeDPoPNonce, "missing", "dpop nonce", nil, "no nonce")
	withNonce(validate.CodeDPoPNonce, "wrong", "dpop nonce", "n-0S6_WzA2Mk", "another nonce")
	withNonce(validate.CodeDPoPNonce, "empty", "dpop nonce", "", "no nonce")
	withNonce(validate.CodeDPoPNonce, "null", "dpop nonce", null, "no nonce")
	withNonce(validate.CodeDPoPNonce, "list", "dpop nonce", []string{"n-0S6_WzA2Mj"}, "not a nonce")
	withNonce(validate.CodeDPoPNonce, "in other case", "dpop nonce", "N-0s6_wZa2mJ", "compared exactly")
	withNonce(validate.CodeDPoPNonce, "with more", "dpop nonce", "n-0S6_WzA2Mj ", "compared exactly")
	withNonce("", "unasked", "dpop", "anything", "nobody asks for one")
	withNonce("", "unasked and no text", "dpop", 7, "nobody asks for one")
	g.accept("nonce for others", "dpop nonce", g.es(), "a plain bearer token where proofs are not required").Request = &corpus.Request{Scheme: "Bearer", Method: "GET", URL: items}
	expired := g.bound("client es", object{"exp": now - 100})
	g.refuse(validate.CodeExpired, "expired token", "dpop", expired, "a proof replaces no other rule").Request = request(g.proof("client es", expired))
	stranger := g.token("other", header("ES256", "es"), claims(object{"cnf": object{"jkt": g.jkt("client es")}}))
	g.refuse(validate.CodeSignature, "forged token", "dpop", stranger, "a proof replaces no other rule").Request = request(g.proof("client es", stranger))
}

func replayAttacks(g *generator) {
	g.bindings()
	token, second := g.bound("client es"), g.bound("client two")
	step := func(code validate.Code, session, name, validator, token string, proof string, reason string) *corpus.Case {
		var c *corpus.Case
		if code == "" {
			c = g.accept(session+" "+name, validator, token, reason)
		} else {
			c = g.refuse(code, session+" "+name, validator, token, reason)
		}
		c.Request, c.Session = request(proof), session
		return c
	}
	one := g.proof("client es", token)
	step("", "twice", "1 first", "dpop", token, one, "the first use")
	step(validate.CodeDPoPReplay, "twice", "2 again", "dpop", token, one, "the same proof again")
	step(validate.CodeDPoPReplay, "twice", "3 once more", "dpop", token, one, "the same proof once more")
	step("", "twice", "4 other name", "dpop", token, g.proof("client es", token, object{"jti": "p-2"}), "another proof")
	step(validate.CodeDPoPReplay, "twice", "5 same name, later", "dpop", token, g.proof("client es", token, object{"iat": now - 1}), "a new proof of an old name")
	step(validate.CodeDPoPReplay, "twice", "6 same name, other nonce", "dpop", token, g.proof("client es", token, object{"nonce": "n"}), "a new proof of an old name")
	escaped := strings.Replace(string(forge.JSON(proofClaims(token))), `"p-1"`, `"\u0070-1"`, 1)
	step(validate.CodeDPoPReplay, "twice", "7 same name by escape", "dpop", token, g.token("client es", g.keys["client es"].ProofHeader(), escaped), "the same name after unescaping")
	step("", "twice", "8 name in other case", "dpop", token, g.proof("client es", token, object{"jti": "P-1"}), "names are compared with case")
	step("", "twice", "9 other key", "dpop", second, g.proof("client two", second), "the same name, used by another key")

	step("", "afresh", "1 other session", "dpop", token, one, "another session remembers nothing")
	step(validate.CodeDPoPReplay, "afresh", "2 other validator", "work", token, one, "one session, though another validator")
	step(validate.CodeDPoPReplay, "afresh", "3 other signature", "dpop", token, forge.OtherForm(one), "the same proof with its signature rewritten")
	other := g.bound("client es", object{"jti": "t-2"})
	step(validate.CodeDPoPReplay, "afresh", "4 other token", "dpop", other, g.proof("client es", other), "the same name for another token of the key")

	step(validate.CodeDPoPMethod, "refused", "1 wrong method", "dpop", token, g.proof("client es", token, object{"htm": "PUT"}), "made for another method")
	step("", "refused", "2 right method", "dpop", token, one, "a refused proof was not used")
	step(validate.CodeDPoPSignature, "forged", "1 by another key", "dpop", token, g.token("client two", g.keys["client es"].ProofHeader(), proofClaims(token)), "signed by another key")
	step("", "forged", "2 by the key", "dpop", token, one, "nobody but the key's holder uses up its names")

	late := float64(now + 3000 - 1)
	step("", "ages", "1 first", "dpop", token, one, "the first use")
	c := step(validate.CodeDPoPReplay, "ages", "2 long after", "dpop", token, g.proof("client es", token, object{"iat": now + 2999}), "the same name, though much later")
	c.Now = &late
	step(validate.CodeDPoPReplay, "ages", "3 clock set back", "dpop", token, one, "a clock that is set back forgets nothing")

	for _, name := range []string{"1", "2"} {
		g.accept("no session "+name, "dpop", token, "cases without session begin with nothing").Request = request(one)
	}
}
