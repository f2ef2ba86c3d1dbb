package corpus_test

import (
	"encoding/base64"
	"fmt"
	"strings"

	"seawall/validate"
	"seawall/validate/corpus"
	"seawall/validate/internal/forge"
)

// Attacks on how a token is written: rules 1 and 2.

func formAttacks(g *generator) {
	good := g.es()
	parts := strings.Split(good, ".")
	g.accept("good es256", "work", good, "valid")
	g.accept("good rs256", "work", g.token("rs", header("RS256", "rs"), claims()), "valid")
	g.accept("good ps256", "work", g.token("ps", header("PS256", "ps"), claims()), "valid")
	g.accept("good eddsa", "work", g.token("ed", header("EdDSA", "ed"), claims()), "valid")
	g.refuse(validate.CodeMissing, "empty", "work", "", "nothing was sent")
	for name, token := range map[string]string{
		"one segment": parts[0], "two segments": parts[0] + "." + parts[1], "no payload": parts[0] + ".." + parts[2],
		"no signature": parts[0] + "." + parts[1] + ".", "no header": "." + parts[1] + "." + parts[2],
		"four segments": good + "." + parts[2], "five segments": good + "..", "leading dot": "." + good, "trailing dot": good + ".",
		"only dots": "..", "many dots": strings.Repeat(".", 5000),
	} {
		g.refuse(validate.CodeMalformed, name, "work", token, "not three non-empty segments")
	}
	for name, token := range map[string]string{
		"leading space": " " + good, "trailing space": good + " ", "trailing line end": good + "\n", "space after dot": parts[0] + ". " + parts[1] + "." + parts[2],
		"bearer prefix": "Bearer " + good, "quoted": `"` + good + `"`,
	} {
		g.refuse(validate.CodeEncoding, name, "work", token, "not the token alone")
	}
	serialized := string(forge.JSON(object{"protected": parts[0], "payload": parts[1], "signature": parts[2]}))
	g.refuse(validate.CodeMalformed, "json serialization", "work", serialized, "JWS JSON serialization is not compact form")
	g.refuse(validate.CodeTooLarge, "too large", "work", g.es(object{"pad": strings.Repeat("x", maxTokens)}), "more bytes than allowed, though validly signed")
	g.refuse(validate.CodeTooLarge, "large garbage", "work", strings.Repeat("a.", 4000), "size is looked at first")
	g.bytes(validate.CodeEncoding, "nul byte", good+"\x00", "a NUL byte at the end")
	g.bytes(validate.CodeEncoding, "invalid utf8", parts[0]+"."+parts[1]+".\xff\xfe", "bytes that are no text")
}

// bytes adds a case whose token is not text.
func (g *generator) bytes(code validate.Code, name, token, reason string) {
	g.add(corpus.Case{Name: name, Validator: "work", TokenB64: base64.StdEncoding.EncodeToString([]byte(token)), Expect: "reject", Code: string(code), Reason: reason})
}

func base64Attacks(g *generator) {
	head, payload := forge.JSON(header("ES256", "es")), forge.JSON(claims())
	for len(head)%3 != 1 { // so that the last character has bits to spare
		head = append(head, ' ')
	}
	for len(payload)%3 != 2 {
		payload = append(payload, ' ')
	}
	h, p := forge.Text(head), forge.Text(payload)
	key := g.keys["es"]
	g.accept("white space after json", "work", key.SignText(h+"."+p), "white space around a JSON text is fine")
	// Everything below is signed as it is spelled, so only the spelling can be refused.
	signed := func(name, h, p, reason string) {
		g.refuse(validate.CodeEncoding, name, "work", key.SignText(h+"."+p), reason)
	}
	signed("padded header", h+"==", p, "padding")
	signed("padded payload", h, p+"=", "padding")
	signed("spare bits in header", h[:len(h)-1]+next(h, 1), p, "unused bits are not zero")
	signed("spare bits in payload", h, p[:len(p)-1]+next(p, 1), "unused bits are not zero")
	signed("header of impossible length", h+"AAA", p, "no byte string has this length")
	signed("line end in payload", h, p[:40]+"\r\n"+p[40:], "line ends are not skipped")
	signed("line feed in header", h[:8]+"\n"+h[8:], p, "line ends are not skipped")
	signed("space in payload", h, p[:40]+" "+p[40:], "white space is not skipped")
	signed("percent encoding", h, p[:40]+"%41"+p[41:], "URL encoding is not undone")
	signed("cyrillic letter", h, p[:40]+"а"+p[41:], "a look-alike letter")
	standard := g.signedWithBoth(key)
	input, _ := forge.SplitSignature(standard)
	sig := standard[len(input)+1:]
	g.refuse(validate.CodeEncoding, "standard alphabet", "work", input+"."+strings.NewReplacer("-", "+", "_", "/").Replace(sig), "the other alphabet")
	g.refuse(validate.CodeEncoding, "padded signature", "work", standard+"==", "padding")
	g.refuse(validate.CodeEncoding, "spare bits in signature", "work", standard[:len(standard)-1]+next(standard, 1), "a second spelling of a good signature")
	g.refuse(validate.CodeEncoding, "more spare bits in signature", "work", standard[:len(standard)-1]+next(standard, 15), "a second spelling of a good signature")
	rsa := g.token("rs", header("RS256", "rs"), claims())
	g.refuse(validate.CodeEncoding, "spare bits in rsa signature", "work", rsa[:len(rsa)-1]+next(rsa, 3), "a second spelling of a good signature")
}

// signedWithBoth signs until the signature has both characters in which the alphabets differ.
func (g *generator) signedWithBoth(key *forge.Key) string {
	for {
		token := key.Sign(forge.JSON(header("ES256", "es")), forge.JSON(claims()))
		input, _ := forge.SplitSignature(token)
		if sig := token[len(input):]; strings.Contains(sig, "-") && strings.Contains(sig, "_") {
			return token
		}
	}
}

// next gives the character that is n further in the alphabet than the last one of s.
func next(s string, n int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	at := strings.IndexByte(alphabet, s[len(s)-1])
	return alphabet[at+n : at+n+1]
}

func jsonAttacks(g *generator) {
	goodHead, good := string(forge.JSON(header("ES256", "es"))), string(forge.JSON(claims()))
	with := func(member string) string { return good[:len(good)-1] + "," + member + "}" }
	payload := func(name, payload, reason string) {
		g.refuse(validate.CodeJSON, name, "work", g.token("es", goodHead, payload), reason)
	}
	head := func(name, head, reason string) {
		g.refuse(validate.CodeJSON, name, "work", g.token("es", head, good), reason)
	}
	fine := func(name, payload, reason string) {
		g.accept(name, "work", g.token("es", goodHead, payload), reason)
	}
	payload("sub twice", with(`"sub":"admin"`), "a member twice: parsers disagree on which counts")
	payload("sub twice and equal", with(`"sub":"`+subject+`"`), "a member twice, even with one value")
	payload("sub twice by escape", with(`"s\u0075b":"admin"`), "the same name after unescaping")
	payload("exp twice", with(`"exp":9999999999`), "a member twice")
	payload("iss twice", with(`"iss":"`+workB+`"`), "a member twice")
	payload("unknown member twice", with(`"x":1,"x":2`), "a member twice, though nobody reads it")
	payload("twice in a nested object", with(`"act":{"sub":"a","sub":"b"}`), "a member twice at depth two")
	payload("twice in an object in an array", with(`"l":[1,[{"a":1,"\u0061":2}]]`), "a member twice at depth four")
	payload("empty name twice", with(`"":1,"":2`), "even the empty name")
	var many strings.Builder
	for n := range 300 {
		fmt.Fprintf(&many, `,"m%d":0`, n)
	}
	payload("twice among hundreds", good[:len(good)-1]+many.String()+`,"m7":1}`, "a member twice in a large object")
	head("alg twice", `{"alg":"none","typ":"at+jwt","kid":"es","alg":"ES256"}`, "a header member twice")
	head("kid twice by escape", `{"alg":"ES256","typ":"at+jwt","kid":"es","k\u0069d":"ed"}`, "a header member twice")
	head("array header", `[{"alg":"ES256","typ":"at+jwt","kid":"es"}]`, "not an object")
	head("header and garbage", goodHead+"x", "something after the object")
	head("header with nul", goodHead+"\x00", "something after the object")
	for name, p := range map[string]string{
		"two objects": good + good, "array payload": "[" + good + "]", "string payload": `"` + subject + `"`, "null payload": "null", "number payload": "1",
		"white space only": "  ", "unterminated": good[:len(good)-1], "trailing comma": good[:len(good)-1] + ",}", "leading comma": "{," + good[1:],
		"byte order mark": "\ufeff" + good, "comment": good[:len(good)-1] + "/* */}", "single quotes": with(`'x':1`), "bare name": with(`x:1`),
		"missing colon": with(`"x" 1`), "missing value": with(`"x":`), "double colon": with(`"x"::1`), "not a number": with(`"x":NaN`), "infinity": with(`"x":Infinity`),
		"leading zero": with(`"x":01`), "plus sign": with(`"x":+1`), "hexadecimal": with(`"x":0x10`), "point without digits": with(`"x":1.`),
		"point first": with(`"x":.5`), "exponent without digits": with(`"x":1e`), "minus alone": with(`"x":-`), "capital true": with(`"x":True`),
		"cut word": with(`"x":nul`), "array with trailing comma": with(`"x":[1,]`), "array without comma": with(`"x":[1 2]`), "brackets crossed": with(`"x":[1}`),
		"line end in string": with("\"x\":\"a\nb\""), "nul in string": with("\"x\":\"a\x00b\""), "tab in string": with("\"x\":\"a\tb\""),
		"unknown escape": with(`"x":"\x41"`), "short unicode escape": with(`"x":"\u12"`), "unicode escape of garbage": with(`"x":"\u00g1"`),
		"vertical tab between": good[:len(good)-1] + "\v}", "no break space between": good[:len(good)-1] + "\u00a0}", "form feed before": "\f" + good,
	} {
		payload(name, p, "not JSON")
	}
	for name, member := range map[string]string{
		"lone high surrogate": `"x":"\ud800"`, "lone low surrogate": `"x":"\udc00"`, "surrogates reversed": `"x":"\udc00\ud800"`,
		"high surrogate and letter": `"x":"\ud800a"`, "two high surrogates": `"x":"\ud800\ud800"`, "lone surrogate in a name": `"\udfff":1`,
	} {
		payload(name, with(member), "an unpaired surrogate escape")
	}
	for name, text := range map[string]string{
		"byte ff": "\xff", "lone continuation": "\x80", "cut sequence": "\xe2\x82", "overlong slash": "\xc0\xaf", "overlong nul": "\xe0\x80\x80",
		"surrogate as utf8": "\xed\xa0\x80", "beyond unicode": "\xf4\x90\x80\x80",
	} {
		payload(name, with(`"x":"`+text+`"`), "not UTF-8")
	}
	payload("not utf8 in a name", with("\"\xc3\x28\":1"), "not UTF-8")
	head("header not utf8", `{"alg":"ES256","typ":"at+jwt","kid":"es","x":"`+"\xff"+`"}`, "not UTF-8")
	nest := func(n int) string { return with(`"x":` + strings.Repeat("[", n) + strings.Repeat("]", n)) }
	nestObject := func(n int) string { return with(`"x":` + strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n)) }
	fine("depth 32", nest(31), "32 levels with the outermost object are allowed")
	fine("depth 32 of objects", nestObject(31), "32 levels are allowed")
	payload("depth 33", nest(32), "33 levels")
	payload("depth 33 of objects", nestObject(32), "33 levels")
	payload("depth 2000", nest(2000), "a nest that costs a recursive parser its stack")
	payload("depth 2000 unclosed", with(`"x":`+strings.Repeat("[", 2000)), "a nest without an end")
	fine("white space between", strings.ReplaceAll(good, ",", " ,\r\n\t"), "white space is fine")
	fine("escaped name", strings.Replace(good, `"sub"`, `"\u0073\u0075b"`, 1), "a name may be escaped")
	fine("escaped value", strings.Replace(good, subject, `emp\u002d20417`, 1), "a value may be escaped")
	fine("surrogate pair", with(`"x":"\ud83d\ude00"`), "a pair is fine")
	fine("case variant of sub", with(`"SUB":"admin","Sub":"admin"`), "names are compared with case: SUB is another member")
	fine("case variant of exp", with(`"EXP":1`), "names are compared with case")
	fine("look-alike of aud", with(`"аud":"https://evil.example"`), "an unknown member")
	fine("every kind of value", with(`"a":[1,-2.5e+3,0,true,false,null,{},[],"\"\\\/\b\f\n\r\t"]`), "unknown members are ignored")
	g.refuse(validate.CodeClaims, "only a case variant of sub", "work", g.es(object{"sub": nil, "SUB": subject}), "there is no sub")
	g.refuse(validate.CodeAlg, "only a case variant of alg", "work", g.token("es", object{"ALG": "ES256", "typ": "at+jwt", "kid": "es"}, claims()), "there is no alg")
}
