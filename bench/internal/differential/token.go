// Package differential looks for tokens about which package validate and another library disagree.
//
// A fuzz target mutates a short program, and the program writes a token: it changes, doubles, renames and takes away
// members of a good header and a good payload, spells them in strange ways, and then has the result signed by a key that
// both sides know. So mutations get past the signature, where libraries differ, and are not all stopped by it. Header and
// payload may also be given as raw text.
//
// Whatever the other library accepts and validate refuses must be refused for a reason that is on that library's list
// (explained.go). Whatever validate accepts and the other refuses is a fault of ours unless its reason is listed.
package differential

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
)

// Now is the clock of every check.
const Now = 1790000000

// signer is a key, under one of the algorithms it serves for.
type signer struct {
	alg, id string
	private crypto.Signer
}

// world is two issuers with their keys. A key of one is unknown to the other.
type world struct {
	signers []signer // those of A, those of B, and one that nobody publishes
	a, b    []byte   // key documents
}

const (
	issuerA  = "https://a.example"
	issuerB  = "https://b.example/b"
	audience = "https://api.example"
)

func newWorld() (*world, error) {
	es, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	w := &world{signers: []signer{
		{"ES256", "es", es}, {"RS256", "rs", rs}, {"PS256", "ps", rs}, {"EdDSA", "ed", ed}, {"ES256", "b", other}, {"ES256", "nobody", other},
	}}
	w.a, w.b = document(w.signers[:4]), document(w.signers[4:5])
	return w, nil
}

func document(signers []signer) []byte {
	var keys []map[string]string
	for _, s := range signers {
		keys = append(keys, s.jwk())
	}
	text, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		panic("differential: " + err.Error()) // can't be: the values are text
	}
	return text
}

func (s signer) jwk() map[string]string {
	jwk := map[string]string{"kid": s.id, "alg": s.alg, "use": "sig"}
	switch public := s.private.Public().(type) {
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			panic("differential: " + err.Error()) // can't be: the key was just made
		}
		jwk["kty"], jwk["crv"], jwk["x"], jwk["y"] = "EC", "P-256", spell(point[1:33]), spell(point[33:])
	case *rsa.PublicKey:
		jwk["kty"], jwk["n"], jwk["e"] = "RSA", spell(public.N.Bytes()), "AQAB"
	case ed25519.PublicKey:
		jwk["kty"], jwk["crv"], jwk["x"] = "OKP", "Ed25519", spell(public)
	}
	return jwk
}

func spell(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// sign makes a signature in the form of RFC 7518 §3, or in one of its false forms.
func (s signer) sign(input string, form byte) []byte {
	sum := sha256.Sum256([]byte(input))
	var sig []byte
	var err error
	switch private := s.private.(type) {
	case *ecdsa.PrivateKey:
		var r, t *big.Int
		if r, t, err = ecdsa.Sign(rand.Reader, private, sum[:]); err != nil {
			break
		}
		switch form {
		case 1: // the second valid form
			t.Sub(elliptic.P256().Params().N, t)
		case 2: // as ASN.1
			sig, err = asn1.Marshal([]*big.Int{r, t})
			return must(sig, err)
		}
		sig = append(r.FillBytes(make([]byte, 32)), t.FillBytes(make([]byte, 32))...)
	case *rsa.PrivateKey:
		switch salt := []int{32, 0, 64, 32}[form%4]; s.alg {
		case "PS256":
			sig, err = rsa.SignPSS(rand.Reader, private, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: salt})
		default:
			sig, err = rsa.SignPKCS1v15(nil, private, crypto.SHA256, sum[:])
		}
	case ed25519.PrivateKey:
		sig = ed25519.Sign(private, []byte(input))
	}
	return distort(must(sig, err), form)
}

func must(sig []byte, err error) []byte {
	if err != nil {
		panic("differential: signing: " + err.Error()) // no randomness
	}
	return sig
}

// distort spoils the bytes of a signature.
func distort(sig []byte, form byte) []byte {
	switch form {
	case 3:
		sig[len(sig)/2] ^= 1
	case 4:
		sig = sig[:len(sig)-1]
	case 5:
		sig = append(sig, 0)
	case 6:
		sig = append([]byte{0}, sig...)
	case 7:
		sig = nil
	case 8:
		clear(sig)
	}
	return sig
}

// encode spells bytes as base64url, or in one of the ways that lax readers take for it.
func encode(b []byte, form byte) string {
	text := spell(b)
	switch form {
	case 1:
		return base64.URLEncoding.EncodeToString(b)
	case 2:
		return base64.RawStdEncoding.EncodeToString(b)
	case 3:
		return base64.StdEncoding.EncodeToString(b)
	case 4: // unused bits set
		if len(b)%3 != 0 && len(text) > 0 {
			const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
			last := strings.IndexByte(alphabet, text[len(text)-1])
			return text[:len(text)-1] + alphabet[last|1:last|1+1]
		}
	case 5:
		return text + "\n"
	case 6:
		return text[:len(text)/2] + "\r\n" + text[len(text)/2:]
	case 7:
		return " " + text
	case 8:
		return text[:len(text)/2] + " " + text[len(text)/2:]
	}
	return text
}

// lenient reads what encode wrote, whatever the form.
func lenient(text string) []byte {
	text = strings.NewReplacer("+", "-", "/", "_", "=", "", "\n", "", "\r", "", " ", "").Replace(text)
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return b
}

// member is one member of an object, as it will be written.
type member struct{ name, value string }

// draft is a token that a program is writing.
type draft struct {
	header, payload []member
	key             byte
	headerForm      byte
	payloadForm     byte
	signatureForm   byte
	spelling        byte // of the signature's text
	around          byte // what stands around the JSON
}

func newDraft() *draft {
	return &draft{
		header: []member{{`"alg"`, `"ES256"`}, {`"typ"`, `"at+jwt"`}, {`"kid"`, `"es"`}},
		payload: []member{
			{`"iss"`, `"` + issuerA + `"`}, {`"sub"`, `"someone"`}, {`"aud"`, `"` + audience + `"`}, {`"client_id"`, `"web"`},
			{`"iat"`, fmt.Sprint(Now - 60)}, {`"exp"`, fmt.Sprint(Now + 3000)}, {`"jti"`, `"t-1"`},
		},
	}
}

// run carries a program out: three bytes an instruction.
func (d *draft) run(program []byte) {
	for ; len(program) >= 3; program = program[3:] {
		op, a, b := program[0], program[1], program[2]
		part := &d.payload
		if op&0x80 != 0 {
			part = &d.header
		}
		switch op & 0x7f % 12 {
		case 0:
			if at := pick(*part, a); at >= 0 {
				(*part)[at].value = values[int(b)%len(values)]
			}
		case 1:
			if at := pick(*part, a); at >= 0 {
				(*part)[at].name = memberNames[int(b)%len(memberNames)]
			}
		case 2:
			if at := pick(*part, a); at >= 0 {
				*part = append((*part)[:at:at], (*part)[at+1:]...)
			}
		case 3: // a member more, at the end
			*part = append(*part, member{memberNames[int(a)%len(memberNames)], values[int(b)%len(values)]})
		case 4: // a member more, at the front
			*part = append([]member{{memberNames[int(a)%len(memberNames)], values[int(b)%len(values)]}}, *part...)
		case 5: // the same name once more
			if at := pick(*part, a); at >= 0 {
				*part = append(*part, member{(*part)[at].name, values[int(b)%len(values)]})
			}
		case 6: // sign with a certain key, and say so
			s := int(a) % 6
			d.key = byte(s)
			d.header = set(d.header, `"alg"`, `"`+algorithms[s]+`"`)
			d.header = set(d.header, `"kid"`, `"`+keyNames[s]+`"`)
		case 7:
			d.key = a
		case 8:
			d.headerForm, d.payloadForm = a%16, b%16
		case 9:
			d.signatureForm, d.spelling = a%16, b%16
		case 10:
			d.around = a
		case 11: // one byte of a value, as it comes
			if at := pick(*part, a); at >= 0 {
				(*part)[at].value = strings.Replace((*part)[at].value, `"`, `"`+string([]byte{b}), 1)
			}
		}
	}
}

var (
	algorithms = []string{"ES256", "RS256", "PS256", "EdDSA", "ES256", "ES256"}
	keyNames   = []string{"es", "rs", "ps", "ed", "b", "nobody"}
)

func pick(list []member, a byte) int {
	if len(list) == 0 {
		return -1
	}
	return int(a) % len(list)
}

// set gives a member its value, or adds it.
func set(list []member, name, value string) []member {
	for i := range list {
		if list[i].name == name {
			list[i].value = value
			return list
		}
	}
	return append(list, member{name, value})
}

// write gives an object as text.
func write(list []member, around byte) []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(m.name + ":" + m.value)
	}
	b.WriteByte('}')
	switch around % 8 {
	case 1:
		return append([]byte(" \n"), b.Bytes()...)
	case 2:
		return append(b.Bytes(), " \t"...)
	case 3:
		return append(b.Bytes(), "{}"...)
	case 4:
		return append([]byte("\xef\xbb\xbf"), b.Bytes()...)
	case 5:
		return append(b.Bytes(), 0)
	case 6:
		return append(append([]byte("["), b.Bytes()...), ']')
	}
	return b.Bytes()
}

// token writes the token that the program asks for. Header and payload, where given, stand in the place of what the
// program wrote.
func (w *world) token(program, header, payload []byte) string {
	d := newDraft()
	d.run(program)
	if len(header) == 0 {
		header = write(d.header, d.around>>4)
	}
	if len(payload) == 0 {
		payload = write(d.payload, d.around)
	}
	s := w.signers[int(d.key)%len(w.signers)]
	input := encode(header, d.headerForm) + "." + encode(payload, d.payloadForm)
	return input + "." + encode(s.sign(input, d.signatureForm), d.spelling)
}

// memberNames are names that mean something, and names that look like them.
var memberNames = []string{
	`"alg"`, `"typ"`, `"kid"`, `"crit"`, `"b64"`, `"jwk"`, `"jku"`, `"x5c"`, `"x5u"`, `"zip"`, `"enc"`, `"cty"`, `"rcpt"`,
	`"iss"`, `"sub"`, `"aud"`, `"exp"`, `"iat"`, `"nbf"`, `"jti"`, `"client_id"`, `"azp"`, `"tid"`, `"cnf"`, `"sid"`, `"scope"`, `"act"`, `"nonce"`,
	`"Alg"`, `"ALG"`, `"KID"`, `"Iss"`, `"SUB"`, `"Aud"`, `"EXP"`, `"iſs"`, `"Kid"`, `"ſub"`, `"\u0073ub"`, `"e\u0078p"`, `""`, `"\ud800"`, "\"\xff\"", `"x"`, `sub`, `'sub'`,
}

// values are values that mean something somewhere, and values that readers of JSON and of times differ about.
var values = []string{
	`"` + issuerA + `"`, `"` + issuerB + `"`, `"` + issuerA + `/"`, `"https:\/\/a.example"`, `"https://a.exampl\u0065"`, `"HTTPS://A.EXAMPLE"`,
	`"` + audience + `"`, `["` + audience + `"]`, `["x","` + audience + `"]`, `["` + audience + `",1]`, `[]`, `["x"]`, `{"` + audience + `":1}`, `[["` + audience + `"]]`,
	`"ES256"`, `"RS256"`, `"PS256"`, `"EdDSA"`, `"none"`, `"HS256"`, `"es256"`, `"at+jwt"`, `"application/at+jwt"`, `"AT+JWT"`, `"JWT"`, `"es"`, `"rs"`, `"ps"`, `"ed"`, `"b"`, `"nobody"`,
	fmt.Sprint(Now), fmt.Sprint(Now - 30), fmt.Sprint(Now - 29), fmt.Sprint(Now - 31), fmt.Sprint(Now + 30), fmt.Sprint(Now + 31), fmt.Sprint(Now + 86400), fmt.Sprint(Now - 86400), fmt.Sprint(Now + 1e9),
	fmt.Sprint(Now-30) + ".5", fmt.Sprint(Now+30) + ".5", `1.79e9`, `1790003000e0`, `179000300000E-2`, `0`, `-0`, `-1`, `1e400`, `9223372036854775808`, `253402300800`, `253402300799`, `"1790003000"`, `01`, `+1`, `.5`, `1.`, `0x10`, `NaN`, `Infinity`,
	`null`, `true`, `false`, `""`, `"someone"`, `"a\u0000b"`, `"a\nb"`, "\"a\nb\"", "\"\x7f\"", "\"\xc2\x85\"", `"\ud800"`, `"\udc00\ud800"`, `"\ud83d\ude00"`, "\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", `"\x41"`, `"ü"`, `"web"`,
	`{}`, `{"a":1,"a":2}`, `{"jkt":"x"}`, `[1,2,]`, `{"a":1,}`, `["exp"]`, `["b64"]`, strings.Repeat(`[`, 31) + strings.Repeat(`]`, 31), strings.Repeat(`[`, 40) + strings.Repeat(`]`, 40), strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 40),
	`1`, `2`, `"x"`, `[`, `]`, `"`, `/**/1`, `tru`, ``, `"2a9c4e71-65d0-4b3f-8e12-b7d4f09a3c55"`, `{"kty":"oct","k":"AAAA"}`,
}
