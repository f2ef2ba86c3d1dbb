package corpus_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"seawall/validate"
	"seawall/validate/corpus"
	"seawall/validate/internal/forge"
)

// The attacks are written by the functions in the *_attacks_test.go files and kept as files, one a
// class, so that other implementations can use them. The keys are random and forgotten again;
// "go test ./corpus -update all" writes everything anew.
var update = flag.String("update", "", "write the vectors of these `classes` anew: a list with commas, or all")

const (
	vectors   = "../testdata/vectors"
	now       = 1790000000
	workName  = "https://login.work.example/{tenantid}/v2.0"
	tenantA   = "2a9c4e71-65d0-4b3f-8e12-b7d4f09a3c55"
	tenantB   = "f15b8d03-9e27-4c6a-a1b4-38c0d7e9625f"
	tenantC   = "0c8a3f52-77b1-4d1e-b3c6-5f2e9d840a17" // of the issuer, but not allowed
	homeID    = "71e3a6d8-0b4c-4f95-9d27-c8a15e60f3b2"
	workA     = "https://login.work.example/" + tenantA + "/v2.0"
	workB     = "https://login.work.example/" + tenantB + "/v2.0"
	homeName  = "https://login.work.example/" + homeID + "/v2.0"
	audience  = "https://api.work.example"
	subject   = "emp-20417"
	wallName  = "https://id.example/acme"
	maxTokens = 6144
)

// object is a JSON object in the making.
type object = map[string]any

// generator collects the cases of one class.
type generator struct {
	doc   corpus.Document
	class string
	keys  map[string]*forge.Key
}

// allKeys are the signing keys of all classes; making RSA keys takes a while.
var allKeys map[string]*forge.Key

func newGenerator(class string) *generator {
	if allKeys == nil {
		allKeys = map[string]*forge.Key{}
		for id, alg := range map[string]string{
			"es": "ES256", "rs": "RS256", "ps": "PS256", "ed": "EdDSA",
			"home": "ES256", "old": "ES256", "next": "ES256", "gone": "ES256", "attacker": "ES256", "other": "ES256",
			"client es": "ES256", "client rs": "RS256", "client ps": "PS256", "client ed": "EdDSA", "client two": "ES256",
		} {
			allKeys[id] = forge.NewKey(alg, id)
			allKeys[id].Issuer = workName
		}
		allKeys["home"].Issuer = homeName
		allKeys["attacker"].Issuer = ""
		window(allKeys["old"], now-9000, now-1000)
		window(allKeys["next"], now+1000, now+9000)
	}
	g := &generator{class: class, keys: allKeys}
	g.doc = corpus.Document{Schema: corpus.Schema, Validators: map[string]corpus.Validator{}}
	g.validator("work", func(*corpus.Validator) {})
	return g
}

func window(k *forge.Key, nbf, exp int64) { k.NotBefore, k.Expires = nbf, exp }

// jwks gives the keys that every standard issuer serves, and some more.
func (g *generator) jwks(more ...object) []object {
	list := []object{}
	for _, id := range []string{"es", "rs", "ps", "ed", "home", "old", "next"} {
		list = append(list, g.keys[id].JWK())
	}
	gone := g.keys["gone"].JWK()
	gone["revoked"] = object{"reason": "stolen"}
	return append(append(list, gone), more...)
}

// validator adds a configuration: the standard one, changed.
func (g *generator) validator(name string, change func(*corpus.Validator)) {
	leeway, lifetime := 30.0, 5400.0
	v := corpus.Validator{
		Now:         now,
		Issuers:     []corpus.Issuer{{Issuer: workName, Tenants: []string{tenantA, tenantB}, JWKS: forge.Set(nil, g.jwks()...)}},
		Audiences:   []string{audience},
		Algorithms:  []string{"ES256", "RS256", "PS256", "EdDSA"},
		Types:       []string{"at+jwt"},
		Leeway:      &leeway,
		MaxLifetime: &lifetime,
		MaxBytes:    maxTokens,
	}
	change(&v)
	g.doc.Validators[name] = v
}

// withKeys adds a configuration whose issuer serves more keys.
func (g *generator) withKeys(name string, more ...object) {
	g.validator(name, func(v *corpus.Validator) { v.Issuers[0].JWKS = forge.Set(nil, g.jwks(more...)...) })
}

// claims gives the standard claims, changed; a nil value leaves a member out.
func claims(changes ...object) object {
	c := object{
		"iss": workA, "sub": subject, "aud": audience, "exp": now + 3000, "nbf": now - 600, "iat": now - 600,
		"jti": "t-1", "tid": tenantA, "client_id": "web-shop", "scope": "stock.read",
	}
	for _, change := range changes {
		maps.Copy(c, change)
	}
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// null is a member that is there and null.
var null = json.RawMessage("null")

func header(alg, kid string, changes ...object) object {
	h := object{"alg": alg, "typ": "at+jwt", "kid": kid}
	for _, change := range changes {
		maps.Copy(h, change)
	}
	maps.DeleteFunc(h, func(_ string, v any) bool { return v == nil })
	return h
}

// token signs with the key of this name; header and payload are objects, or text taken as it is.
func (g *generator) token(kid string, head, payload any) string {
	return g.keys[kid].Sign(encode(head), encode(payload))
}

func encode(v any) []byte {
	if text, ok := v.(string); ok {
		return []byte(text)
	}
	return forge.JSON(v)
}

// es signs claims with the standard ES256 key.
func (g *generator) es(changes ...object) string {
	return g.token("es", header("ES256", "es"), claims(changes...))
}

// refuse adds a case that must be refused with the code, accept one that must be accepted.
func (g *generator) refuse(code validate.Code, name, validator, token, reason string) *corpus.Case {
	return g.add(corpus.Case{Name: name, Validator: validator, Token: token, Expect: "reject", Code: string(code), Reason: reason})
}

func (g *generator) accept(name, validator, token, reason string) *corpus.Case {
	return g.add(corpus.Case{Name: name, Validator: validator, Token: token, Expect: "accept", Subject: subject, Reason: reason})
}

func (g *generator) add(c corpus.Case) *corpus.Case {
	c.Name, c.Class = g.class+"-"+strings.ReplaceAll(c.Name, " ", "-"), g.class
	g.doc.Cases = append(g.doc.Cases, c)
	return &g.doc.Cases[len(g.doc.Cases)-1]
}

// classes are all kinds of attack; each has a file of its own.
var classes = map[string]func(*generator){
	"form":         formAttacks,
	"base64":       base64Attacks,
	"json":         jsonAttacks,
	"alg":          algAttacks,
	"header":       headerAttacks,
	"typ":          typAttacks,
	"issuer":       issuerAttacks,
	"cross-issuer": crossIssuerAttacks,
	"key":          keyAttacks,
	"weak-key":     weakKeyAttacks,
	"signature":    signatureAttacks,
	"claims":       claimAttacks,
	"audience":     audienceAttacks,
	"time":         timeAttacks,
	"client":       clientAttacks,
	"revocation":   revocationAttacks,
	"binding":      bindingAttacks,
	"mtls":         mtlsAttacks,
	"dpop":         dpopAttacks,
	"dpop-form":    dpopFormAttacks,
	"dpop-key":     dpopKeyAttacks,
	"replay":       replayAttacks,
	"edge":         edgeAttacks,
	"receipt":      receiptAttacks,
	"statement":    statementAttacks,
	"family":       familyAttacks,
}

func TestVectors(t *testing.T) {
	names := map[string]bool{}
	for _, class := range slices.Sorted(maps.Keys(classes)) {
		path := filepath.Join(vectors, class+".json")
		if *update == "all" || slices.Contains(strings.Split(*update, ","), class) {
			g := newGenerator(class)
			classes[class](g)
			if err := os.WriteFile(path, g.file(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		t.Run(class, func(t *testing.T) {
			doc, b := load(t, path)
			judge(t, doc)
			judge(t, again(doc))
			for _, c := range doc.Cases {
				if names[c.Name] {
					t.Errorf("two cases are called %s", c.Name)
				}
				names[c.Name] = true
			}
			noTokenText(t, doc, b)
		})
	}
}

// The classes together: files are only ever added to.
func TestVectorsAreAllThere(t *testing.T) {
	count := map[string]int{}
	for class := range classes {
		doc, _ := load(t, filepath.Join(vectors, class+".json"))
		for _, c := range doc.Cases {
			count[c.Expect]++
		}
	}
	if count["reject"] < 900 || count["accept"] < 220 || len(count) != 2 {
		t.Errorf("%v; some are gone", count)
	}
}

// file writes the document with one case a line, and only the validators that are used.
func (g *generator) file() []byte {
	used := map[string]bool{}
	for _, c := range g.doc.Cases {
		used[c.Validator] = true
	}
	maps.DeleteFunc(g.doc.Validators, func(name string, _ corpus.Validator) bool { return !used[name] })
	slices.SortFunc(g.doc.Cases, func(a, b corpus.Case) int { return strings.Compare(a.Name, b.Name) })
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\"schema\": %q,\n\"validators\": {\n", corpus.Schema)
	for n, name := range slices.Sorted(maps.Keys(g.doc.Validators)) {
		if n > 0 {
			b.WriteString(",\n")
		}
		fmt.Fprintf(&b, "%q: %s", name, forge.JSON(g.doc.Validators[name]))
	}
	b.WriteString("},\n\"cases\": [\n")
	for n, c := range g.doc.Cases {
		if n > 0 {
			b.WriteString(",\n")
		}
		b.Write(forge.JSON(c))
	}
	b.WriteString("\n]}\n")
	return b.Bytes()
}

// judge demands the exact verdict, subject and code of every case.
func judge(t *testing.T, doc corpus.Document) {
	t.Helper()
	for n, v := range doc.Judge(context.Background()) {
		c := doc.Cases[n]
		if v.Verdict != c.Expect || v.Code != c.Code || v.Subject != c.Subject {
			t.Errorf("%s (%s): %s %q subject %q, want %s %q subject %q", c.Name, c.Reason, v.Verdict, v.Code, v.Subject, c.Expect, c.Code, c.Subject)
		}
	}
}

// again gives the document with every case three times and in another order, so that validators meet
// tokens that they have accepted before. What they remember must change no verdict.
func again(doc corpus.Document) corpus.Document {
	var alone, together []corpus.Case
	for _, c := range doc.Cases {
		if c.Session == "" {
			alone = append(alone, c, c, c)
		} else {
			together = append(together, c)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	random.Shuffle(len(alone), func(i, j int) { alone[i], alone[j] = alone[j], alone[i] })
	doc.Cases = append(alone, together...)
	return doc
}

// noTokenText runs the whole program and looks for parts of tokens in what it writes.
func noTokenText(t *testing.T, doc corpus.Document, b []byte) {
	t.Helper()
	var out bytes.Buffer
	if err := corpus.Run(context.Background(), bytes.NewReader(b), &out); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n"); n != len(doc.Cases) {
		t.Errorf("%d lines for %d cases", n, len(doc.Cases))
	}
	const part = 24 // characters
	written := map[string]bool{}
	for at := 0; at+part <= out.Len(); at++ {
		written[out.String()[at:at+part]] = true
	}
	for _, c := range doc.Cases {
		sent := []string{c.Token}
		if c.Request != nil {
			sent = append(sent, c.Request.DPoP...)
		}
		for _, text := range sent {
			for at := 0; at+part <= len(text); at++ {
				if written[text[at:at+part]] {
					t.Fatalf("the output holds a part of what %s sent", c.Name)
				}
			}
		}
	}
}
