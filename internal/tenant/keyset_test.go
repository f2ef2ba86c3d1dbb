package tenant

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// ecSet has the P-256 key of RFC 7517, appendix A.1.
const ecSet = `{"keys":[{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","kid":"1"}]}`

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func set(members ...string) string { return `{"keys":[` + strings.Join(members, ",") + `]}` }

func ecMember(t *testing.T, curve elliptic.Curve, more string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	half := len(point) / 2
	return fmt.Sprintf(`{"kty":"EC","crv":"%s","x":"%s","y":"%s"%s}`, curve.Params().Name, b64(point[1:1+half]), b64(point[1+half:]), more)
}

func rsaMember(t *testing.T, bits int, more string) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"kty":"RSA","n":"%s","e":"AQAB"%s}`, b64(key.N.Bytes()), more)
}

func TestParseKeySet(t *testing.T) {
	edPublic, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed := fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":"%s","kid":"ed"}`, b64(edPublic))
	cases := []struct {
		name, document string
		algs           []string // of each key
	}{
		{"EC", ecSet, []string{"ES256"}},
		{"P-384", set(ecMember(t, elliptic.P384(), "")), []string{"ES384"}},
		{"P-521", set(ecMember(t, elliptic.P521(), `,"alg":"ES512"`)), []string{"ES512"}},
		{"RSA", set(rsaMember(t, 2048, `,"use":"sig","key_ops":["verify"]`)), []string{"PS256 RS256"}},
		{"RSA with alg", set(rsaMember(t, 2048, `,"alg":"PS256"`)), []string{"PS256"}},
		{"several", set(ed, ecMember(t, elliptic.P256(), `,"kid":"a"`), ecMember(t, elliptic.P256(), `,"kid":"b"`)), []string{"EdDSA", "ES256", "ES256"}},
		{"unknown members", `{"x":1,"keys":[` + ecMember(t, elliptic.P256(), `,"x5c":["MII"],"D":"not d"`) + `]}`, []string{"ES256"}},
	}
	for _, c := range cases {
		got, err := ParseKeySet([]byte(c.document))
		if err != nil || len(got.Keys()) != len(c.algs) || got.IsZero() {
			t.Errorf("%s: %+v, %v", c.name, got, err)
			continue
		}
		for i, key := range got.Keys() {
			if strings.Join(key.Algs, " ") != c.algs[i] || key.Public == nil {
				t.Errorf("%s, key %d: %+v, want %s", c.name, i, key, c.algs[i])
			}
		}
		again, err := ParseKeySet([]byte(got.String()))
		if err != nil || again.String() != got.String() {
			t.Errorf("%s: %s reads back as %s, %v", c.name, got, again, err)
		}
		if strings.Contains(got.String(), "x5c") || strings.Contains(got.String(), "not d") {
			t.Errorf("%s: unknown members are kept: %s", c.name, got)
		}
	}
	if (KeySet{}).String() != "" || !(KeySet{}).IsZero() {
		t.Error("the zero set is not empty")
	}
}

func TestParseKeySetRefuses(t *testing.T) {
	good := strings.TrimSuffix(strings.TrimPrefix(ecSet, `{"keys":[`), `]}`)
	with := func(more string) string { return set(strings.TrimSuffix(good, "}") + more + "}") }
	cases := []struct{ name, document, why string }{
		{"empty", "", "not a JSON object"},
		{"array", "[]", "not a JSON object"},
		{"null", "null", `no list "keys"`},
		{"trailing", ecSet + "{}", "follows"},
		{"no keys", `{}`, `no list "keys"`},
		{"keys in capitals", `{"Keys":[` + good + `]}`, `no list "keys"`},
		{"keys no list", `{"keys":{}}`, `no list "keys"`},
		{"no key", `{"keys":[]}`, "0 keys"},
		{"null key", set("null"), "kty"},
		{"many", set(strings.Split(strings.Repeat(good+"\n", 11), "\n")[:11]...), "11 keys"},
		{"long", strings.Repeat(" ", MaxKeySetBytes+1), "longer"},
		{"private EC", with(`,"d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"`), "private"},
		{"empty d", with(`,"d":""`), "private"},
		{"private RSA", with(`,"p":"x"`), "private"},
		{"symmetric", set(`{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ"}`), "private"},
		{"symmetric without k", set(`{"kty":"oct"}`), "kty"},
		{"encryption", with(`,"use":"enc"`), "use"},
		{"key_ops", with(`,"key_ops":["deriveKey"]`), "key_ops"},
		{"empty key_ops", with(`,"key_ops":[]`), "key_ops"},
		{"alg", with(`,"alg":"RS256"`), "ES256"},
		{"alg none", with(`,"alg":"none"`), "ES256"},
		{"alg HS256", with(`,"alg":"HS256"`), "ES256"},
		{"alg number", with(`,"alg":1`), "wrong type"},
		{"same kid twice", set(good, good), "kid"},
		{"no kid among several", set(good, ecMember(t, elliptic.P256(), "")), "kid"},
		{"no kid first", set(ecMember(t, elliptic.P256(), ""), good), "kid"},
		{"long kid", set(ecMember(t, elliptic.P256(), `,"kid":"`+strings.Repeat("a", 129)+`"`)), "kid"},
		{"control in kid", set(ecMember(t, elliptic.P256(), `,"kid":"a\n"`)), "kid"},
		{"curve", strings.Replace(ecSet, "P-256", "secp256k1", 1), "crv"},
		{"off the curve", strings.Replace(ecSet, "MKBC", "MKBD", 1), "not on P-256"},
		{"short x", strings.Replace(ecSet, "MKBCTNIc", "MKBC", 1), "32 bytes"},
		{"loose base64", strings.Replace(ecSet, "v7D4", "v7D5", 1), "32 bytes"},
		{"padded base64", strings.Replace(ecSet, "v7D4", "v7D4=", 1), "32 bytes"},
		{"short RSA", set(`{"kty":"RSA","n":"` + b64(make([]byte, 128)) + `","e":"AQAB"}`), "2048 bits"},
		{"1024 bits", set(`{"kty":"RSA","n":"` + strings.Repeat("_", 170) + `8","e":"AQAB"}`), "2048 bits"},
		{"even modulus", set(`{"kty":"RSA","n":"` + b64(append([]byte{0xff}, make([]byte, 255)...)) + `","e":"AQAB"}`), "odd modulus"},
		{"huge RSA", set(`{"kty":"RSA","n":"` + strings.Repeat("_", 684) + `","e":"AQAB"}`), "512 bytes"},
		{"exponent 1", set(`{"kty":"RSA","n":"` + odd2048 + `","e":"AQ"}`), "exponent"},
		{"even exponent", set(`{"kty":"RSA","n":"` + odd2048 + `","e":"AQAC"}`), "exponent"},
		{"huge exponent", set(`{"kty":"RSA","n":"` + odd2048 + `","e":"AQAAAAAB"}`), "up to 4"},
		{"X25519", set(`{"kty":"OKP","crv":"X25519","x":"` + b64(make([]byte, 32)) + `"}`), "Ed25519"},
		{"short Ed25519", set(`{"kty":"OKP","crv":"Ed25519","x":"AAAA"}`), "Ed25519"},
	}
	for _, c := range cases {
		got, err := ParseKeySet([]byte(c.document))
		refused(t, c.name, err, "key set", c.why)
		if !got.IsZero() || got.String() != "" {
			t.Errorf("%s: a refused set is not zero", c.name)
		}
		if err != nil && strings.Contains(err.Error(), "870MB6") {
			t.Errorf("%s: the error tells the key", c.name)
		}
	}
}

var odd2048 = b64(append(append([]byte{0xff}, make([]byte, 254)...), 1))

func FuzzParseKeySet(f *testing.F) {
	f.Add([]byte(ecSet))
	f.Add([]byte(set(`{"kty":"RSA","n":"` + odd2048 + `","e":"AQAB","kid":"r"}`)))
	f.Add([]byte(set(`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","alg":"EdDSA"}`)))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AA"}]}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		got, err := ParseKeySet(document)
		if err != nil {
			return
		}
		var members struct{ Keys []map[string]any }
		if err := json.Unmarshal([]byte(got.String()), &members); err != nil || len(members.Keys) != len(got.Keys()) {
			t.Fatalf("%s: %v", got, err)
		}
		for _, m := range members.Keys {
			for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
				if _, there := m[private]; there {
					t.Fatalf("%s keeps %s", got, private)
				}
			}
		}
		again, err := ParseKeySet([]byte(got.String()))
		if err != nil || again.String() != got.String() {
			t.Fatalf("%s reads back as %s, %v", got, again, err)
		}
	})
}
