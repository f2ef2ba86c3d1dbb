package corpus_test

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"seawall/validate/corpus"
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

// sampleCodes are the reasons for which the sample's bad cases must be refused. The first two are
// good ones that need a sender binding, which validate does not support yet.
var sampleCodes = map[string]string{
	"sample-ok-dpop":             "binding_unsupported",
	"sample-ok-mtls":             "binding_unsupported",
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
	"sample-dpop-method":         "binding_unsupported",
	"sample-mtls-other":          "binding_unsupported",
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
	if right != 23 {
		t.Errorf("%d of %d cases are right, want 23", right, len(doc.Cases))
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
