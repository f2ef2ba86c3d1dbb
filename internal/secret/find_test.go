package secret

import (
	"encoding/base64"
	"strings"
	"testing"
)

// Credentials for tests are put together here, so that no scanner trips over the source.
var (
	exampleSecret = "swc_prod_" + strings.Repeat("A", 33) + "0ak96C"
	exampleHeader = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"at+jwt"}`))
	spacedHeader  = base64.RawURLEncoding.EncodeToString([]byte("{\n  \"alg\": \"ES256\"\n}"))
	examplePair   = exampleHeader + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"https://id.example"}`))
	exampleJWT    = examplePair + "." + strings.Repeat("q", 86)
	examplePEM    = "-----BEGIN " + "PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\n-----END " + "PRIVATE KEY-----"
	exampleBasic  = base64.StdEncoding.EncodeToString([]byte("ci:swordfish"))
)

func TestFind(t *testing.T) {
	cases := []struct {
		name, before, credential, after, what string
		certain                               bool
	}{
		{"generated", "secret=", exampleSecret, "&x=1", "client secret", true},
		{"generated, API", "", "swa" + exampleSecret[3:], "", "API secret", false},
		{"generated, later kind", "", "swx_prod_0123456789abc", " ", "unknown credential", false},
		{"generated inside words", "x%3D", exampleSecret, "_y", "client secret", true},
		{"generated, cut", "at ", exampleSecret[:20], "…", "client secret", false},
		{"generated, run on", "", exampleSecret + "abc", " ", "client secret", true},
		{"JWT", "token ", exampleJWT, " refused", "JWT", false},
		{"JWT in JSON", `{"access_token":"`, exampleJWT, `"}`, "JWT", false},
		{"pair without signature", "(", examplePair, ")", "JWT", false},
		{"empty signature", "(", examplePair + ".", ")", "JWT", false},
		{"JWE, direct key", "", exampleHeader + "..aaaa.bbbb.cccc", "", "JWT", false},
		{"JWE with key", "", exampleHeader + ".kkkk.aaaa.bbbb.cccc", "\n", "JWT", false},
		{"header with white space", "= ", spacedHeader + ".eyJpc3MiOiJ4In0.sig", "", "JWT", false},
		{"JWT after other base64url", "AAAA", exampleJWT, "", "JWT", false},
		{"PEM", "key:\n", examplePEM, "\nrest", "private key", false},
		{"PEM on one line", `"`, strings.ReplaceAll(examplePEM, "\n", `\n`), `"`, "private key", false},
		{"PEM, RSA", "", strings.ReplaceAll(examplePEM, "PRIVATE", "RSA PRIVATE"), "", "private key", false},
		{"PEM, cut", "", examplePEM[:40], "", "private key", false},
		{"Basic", "Basic ", exampleBasic, "", "Basic credentials", false},
		{"basic, lower", "authorization: basic   ", exampleBasic, "\r\n", "Basic credentials", false},
		{"Basic, unpadded", "Basic ", strings.TrimRight(exampleBasic, "="), " ", "Basic credentials", false},
		{"Bearer, opaque", "sent Bearer ", "2YotnFZFEjr1zCsicMWpAA", " to", "Bearer token", false},
		{"Bearer, short, after the header's name", "Authorization: Bearer ", "abc", "", "Bearer token", false},
		{"header map", `map[Authorization:[Bearer `, "abcdef", `]]`, "Bearer token", false},
		{"header in JSON", `{"Authorization":["BEARER `, "abcdef", `"]}`, "Bearer token", false},
		{"header in escaped JSON", `{\"authorization\":\"Bearer `, "abcdef", `\"}`, "Bearer token", false},
		{"DPoP", "DPoP ", "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU", " ", "DPoP token", false},
	}
	for _, c := range cases {
		found := Find([]byte(c.before + c.credential + c.after))
		want := Finding{What: c.what, Start: len(c.before), End: len(c.before) + len(c.credential), Certain: c.certain}
		if len(found) != 1 || found[0] != want {
			t.Errorf("%s: found %+v, want %+v", c.name, found, want)
		}
		clean, _ := Redact([]byte(c.before + c.credential + c.after))
		if string(clean) != c.before+Redacted+c.after {
			t.Errorf("%s: redacted to %q", c.name, clean)
		}
	}
}

func TestFindLeavesOrdinaryTextAlone(t *testing.T) {
	for _, s := range []string{
		"",
		"client authenticated with Basic authentication",
		"Bearer authentication is required",
		`Bearer realm="seawall", error="invalid_token"`,
		"basic credentials were missing",
		"sent a bearer token of 512 bytes",
		"swc_prod_",
		"swc_prod_short",
		"sws_new_connections_per_second",
		"eyJ is how a header starts",
		"eyJhbGciOiJFUzI1NiJ9 alone is only a header",
		"see the-readme.example.com and e0123456789.example",
		"-----BEGIN " + "PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----",
		"-----BEGIN " + "CERTIFICATE-----",
		"already [redacted]; Authorization: Bearer [redacted]",
		"kid 3f9c2b7d1e0a4c58 jti 01JDXK3V9T",
		"2026-11-23T02:12:00Z https://id.example/acme/jwks",
	} {
		if found := Find([]byte(s)); len(found) != 0 {
			t.Errorf("%q: found %+v", s, found)
		}
		if clean, found := Redact([]byte(s)); string(clean) != s || found != nil {
			t.Errorf("%q: redacted to %q", s, clean)
		}
	}
}

func TestFindSeveral(t *testing.T) {
	text := "a " + exampleSecret + " b " + exampleJWT + " c Basic " + exampleBasic + " d " + examplePEM
	clean, found := Redact([]byte(text))
	if want := "a [redacted] b [redacted] c Basic [redacted] d [redacted]"; string(clean) != want || len(found) != 4 {
		t.Errorf("got %q with %d findings", clean, len(found))
	}
}

// TestFindIsLinear feeds the shapes that make a naive scanner quadratic. At two megabytes each a quadratic scan would
// run past the test's time limit.
func TestFindIsLinear(t *testing.T) {
	for _, unit := range []string{"eyJ", "e0", "eyJeyJeyJ.", "-----BEGIN PRIVATE KEY-----", "-----BEGIN ", "Bearer ", "basic", "swc_prod_", "swc_prod_AAAAAAAA", "authorization", `authorization: Bearer `, "DPoP  ", "\\\"", "."} {
		Find([]byte(strings.Repeat(unit, 2<<20/len(unit))))
	}
}

func FuzzFind(f *testing.F) {
	for _, s := range []string{exampleSecret, exampleJWT, examplePEM, "Authorization: Basic " + exampleBasic, spacedHeader + ".aaaa", "Bearer", "-----BEGIN ", "swc_prod_"} {
		f.Add(s, "x")
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		text := before + " " + exampleSecret + " " + after
		at, covered := len(before)+1, false
		end := 0
		for _, found := range Find([]byte(text)) {
			if found.Start < end || found.End <= found.Start || found.End > len(text) || found.What == "" {
				t.Fatalf("finding %+v out of order or bounds (after %d of %d)", found, end, len(text))
			}
			end = found.End
			covered = covered || found.Start <= at && found.End >= at+len(exampleSecret)
		}
		if !covered {
			t.Fatalf("the secret in %q was not found", text)
		}
		clean, _ := Redact([]byte(text))
		if again := Find(clean); len(again) != 0 {
			t.Fatalf("redacting %q left %q, in which %+v is found", text, clean, again)
		}
	})
}
