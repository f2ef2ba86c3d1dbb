package validate

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"seawall/validate/internal/forge"
)

// FuzzSigned gives the fuzzer the issuer's key: any header and payload, validly signed. Whatever is
// accepted must be strict JSON and say what encoding/json, told to be strict, reads in it.
func FuzzSigned(f *testing.F) {
	const now = 1790000000
	k := forge.NewKey("EdDSA", "k")
	v, err := New(Config{
		Issuers:   []Issuer{ForeignIssuer(ForeignConfig{Issuer: "https://x", Keys: StaticKeys(forge.Set(nil, k.JWK()))})},
		Audiences: []string{"a"},
		Now:       func() time.Time { return time.Unix(now, 0) },
	})
	if err != nil {
		f.Fatal(err)
	}
	header, payload := `{"alg":"EdDSA","typ":"at+jwt","kid":"k"}`, `{"iss":"https://x","sub":"s","aud":["a"],"iat":1790000000,"exp":1790000600}`
	f.Add(header, payload)
	f.Add(header, `{"iss":"https:\/\/x","sub":"\u00fc","aud":"a","iat":1.79e9,"exp":1790000600.5,"nbf":0,"azp":"c","client_id":"c","x":[{}]}`)
	f.Add(` {"kid":"k","alg":"EdDSA","typ":"application/AT+JWT","x":1e5} `, payload)
	for _, seed := range scannerSeeds {
		f.Add(header, seed)
		f.Add(seed, payload)
	}
	f.Fuzz(func(t *testing.T, header, payload string) {
		token, err := v.Token(context.Background(), k.Sign([]byte(header), []byte(payload)))
		soundBoth := reference([]byte(header)) && reference([]byte(payload))
		if err != nil {
			if errors.Is(err, CodeSignature) || errors.Is(err, CodeEncoding) && header != "" && payload != "" {
				t.Fatalf("%q %q: %v", header, payload, err)
			}
			if errors.Is(err, CodeJSON) && soundBoth {
				t.Fatalf("%q %q: refused as JSON", header, payload)
			}
			return
		}
		if !soundBoth {
			t.Fatalf("%q %q: accepted, but not strict JSON", header, payload)
		}
		var theirs map[string]any
		if err := json.Unmarshal([]byte(payload), &theirs); err != nil {
			t.Fatal(err)
		}
		aud, ok := theirs["aud"].([]any)
		if !ok {
			aud = []any{theirs["aud"]}
		}
		found := false
		for _, a := range aud {
			_, text := a.(string)
			found = found || a == "a"
			if !text {
				t.Fatalf("%q: an audience that is no text", payload)
			}
		}
		exp, iat := theirs["exp"].(float64), theirs["iat"].(float64)
		if theirs["iss"] != "https://x" || theirs["sub"] != token.Subject() || !found || len(token.Audience()) != len(aud) || theirs["cnf"] != nil ||
			exp < now-30 || iat > now+30 || exp-iat > 86401 || exp < iat {
			t.Fatalf("%q: accepted as %v", payload, token)
		}
		var all map[string]any
		if err := token.Claims(&all); err != nil || len(all) != len(theirs) {
			t.Fatalf("%q: %d claims, %v", payload, len(all), err)
		}
	})
}
