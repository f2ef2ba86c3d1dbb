package corpus_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"seawall/validate/corpus"
	"seawall/validate/internal/forge"
)

func load(t *testing.T, path string) (corpus.Document, []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var doc corpus.Document
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return doc, b
}

// sampleCodes are the reasons for which the sample's bad cases must be refused.
var sampleCodes = map[string]string{
	"sample-none":                "alg",
	"sample-tampered":            "signature",
	"sample-padded-signature":    "encoding",
	"sample-unknown-kid":         "key_unknown",
	"sample-retired-key":         "key_expired",
	"sample-home-key-work-token": "key_issuer",
	"sample-tid-not-iss":         "tenant",
	"sample-iss-slash":           "issuer",
	"sample-aud-other":           "audience",
	"sample-expired":             "expired",
	"sample-too-long":            "lifetime",
	"sample-typ-jwt":             "typ",
	"sample-crit":                "crit",
	"sample-dup-sub":             "json",
	"sample-dpop-method":         "dpop_method",
	"sample-mtls-other":          "mtls_mismatch",
	"sample-revoked-user":        "revoked",
}

func TestSample(t *testing.T) {
	doc, _ := load(t, "../testdata/sample/corpus.json")
	right := 0
	for n, v := range doc.Judge(context.Background()) {
		c := doc.Cases[n]
		if v.Code != sampleCodes[c.Name] {
			t.Errorf("%s: code %q, want %q", c.Name, v.Code, sampleCodes[c.Name])
		}
		if v.Verdict == c.Expect && v.Subject == c.Subject {
			right++
		}
	}
	if right != len(doc.Cases) {
		t.Errorf("%d of %d cases are right", right, len(doc.Cases))
	}
}

func TestOutputHoldsNoTokenText(t *testing.T) {
	doc, b := load(t, "../testdata/sample/corpus.json")
	noTokenText(t, doc, b)
}

func TestErrorsHoldNothingOfTheDocument(t *testing.T) {
	const text = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJjaSJ9"
	for _, doc := range []string{`{"schema": "` + text + `"}`, `{"schema": ["` + text + `"]}`, `{"cases": "` + text + `"}`, text} {
		var out strings.Builder
		err := corpus.Run(context.Background(), strings.NewReader(doc), &out)
		if err == nil || strings.Contains(err.Error()+out.String(), text[:10]) {
			t.Errorf("%s: %v, %q", doc, err, out.String())
		}
	}
}

func TestRun(t *testing.T) {
	run := func(in string) (string, error) {
		var out bytes.Buffer
		err := corpus.Run(context.Background(), strings.NewReader(in), &out)
		return out.String(), err
	}
	for in, want := range map[string]string{
		`{"schema":"token-validation-corpus/1"}`:                                                                                                        "",
		`{"schema":"token-validation-corpus/1","cases":[{"name":"a<b","validator":"x","token":"t"}]}`:                                                   `{"name":"a<b","verdict":"reject","code":"config"}` + "\n",
		`{"schema":"token-validation-corpus/1","validators":{"v":{}},"cases":[{"name":"n","validator":"v"}]}`:                                           `{"name":"n","verdict":"reject","code":"config"}` + "\n",
		`{"schema":"token-validation-corpus/1","validators":{"v":{"revocations":[{"kind":"?","value":"x"}]}},"cases":[{"name":"n","validator":"v"}]}`:   `{"name":"n","verdict":"reject","code":"config"}` + "\n",
		`{"schema":"token-validation-corpus/1","validators":{"v":` + minimal + `},"cases":[{"name":"n","validator":"v","token_b64":"%"}]}`:              `{"name":"n","verdict":"reject","code":"config"}` + "\n",
		`{"schema":"token-validation-corpus/1","validators":{"v":` + minimal + `},"cases":[{"name":"n","validator":"v"}]}`:                              `{"name":"n","verdict":"reject","code":"missing"}` + "\n",
		`{"schema":"token-validation-corpus/1","validators":{"v":` + minimal + `},"cases":[{"name":"n","validator":"v","request":{"scheme":"Basic"}}]}`: `{"name":"n","verdict":"reject","code":"missing"}` + "\n",
		`{"schema":"token-validation-corpus/1","validators":{"v":` + minimal + `},"cases":[{"name":"n","validator":"v","token":"x.y.z","now":1.5e9}]}`:  `{"name":"n","verdict":"reject","code":"encoding"}` + "\n",
	} {
		if out, err := run(in); err != nil || out != want {
			t.Errorf("%s: %q %v, want %q", in, out, err, want)
		}
	}
	for _, in := range []string{"", "{", "[]", "{}", `{"schema":"token-validation-corpus/2"}`} {
		if out, err := run(in); err == nil || out != "" {
			t.Errorf("%q: %q %v", in, out, err)
		}
	}
}

// minimal is the least configuration.
const minimal = `{"now":1,"issuers":[{"issuer":"https://x","jwks":{"keys":[]}}],"audiences":["a"],"algorithms":["ES256"],"types":["at+jwt"]}`

// The line of an accepted token has every member, even for a token without a tenant.
func TestAcceptedLine(t *testing.T) {
	k := forge.NewKey("EdDSA", "k")
	doc := corpus.Document{
		Schema: corpus.Schema,
		Validators: map[string]corpus.Validator{"v": {
			Now: 100, Issuers: []corpus.Issuer{{Issuer: "https://x", JWKS: forge.Set(nil, k.JWK())}}, Audiences: []string{"a"}, Types: []string{"at+jwt"},
		}},
		Cases: []corpus.Case{{Name: "n", Validator: "v", Token: k.Sign(forge.Header("EdDSA", "at+jwt", "k"), []byte(`{"iss":"https://x","sub":"s","aud":"a","iat":90,"exp":110}`))}},
	}
	var out bytes.Buffer
	if err := corpus.Run(context.Background(), bytes.NewReader(forge.JSON(doc)), &out); err != nil {
		t.Fatal(err)
	}
	if want := `{"name":"n","verdict":"accept","subject":"s","issuer":"https://x","tenant":""}` + "\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
