package mint

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
)

// formats are the vectors of docs/formats.md that validate is tested with, too.
type formats struct {
	Pins []struct{ Name, Root, Pin string }  `json:"pins"`
	Keys []struct{ Name, Public, ID string } `json:"ledger_keys"`

	Certificates []struct {
		Name        string
		Root        string `json:"root_seed"`
		Public      string
		ID          string
		NotBefore   int64 `json:"nbf"`
		Expires     int64 `json:"exp"`
		Input       string
		Certificate string
	} `json:"certificates"`

	Statements []struct {
		Name        string
		Root        string `json:"root_seed"`
		Issuer      string
		KID         string
		Thumbprint  string
		Alg         string
		Kinds       []string `json:"token_kinds"`
		NotBefore   int64    `json:"nbf"`
		SigningEnds int64    `json:"signing_ends"`
		Expires     int64    `json:"exp"`
		Input       string
		Statement   string `json:"ledger_statement"`
	} `json:"key_statements"`

	Digests []struct {
		Name    string
		Header  string `json:"bare_header"`
		Payload string
		Digest  string
	} `json:"token_digests"`

	Receipts []struct {
		Name     string
		Key      string `json:"ledger_key_seed"`
		KeyID    string `json:"ledger_key_id"`
		Sequence string
		Millis   string `json:"time_ms"`
		Digest   string `json:"token_digest"`
		Input    string
		Receipt  string
	} `json:"receipts"`

	Tokens []struct {
		Name   string
		Bare   string `json:"bare_header"`
		Header string
		Digest string
		Pin    string
		JWKS   struct {
			Ledger Document `json:"seawall_ledger"`
		} `json:"jwks"`
		Payload string
	} `json:"tokens"`
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func seed(t *testing.T, text string) ed25519.PrivateKey {
	t.Helper()
	return ed25519.NewKeyFromSeed(unhex(t, text))
}

func TestFormatVectors(t *testing.T) {
	text, err := os.ReadFile("../../validate/testdata/vectors/formats.json")
	if err != nil {
		t.Fatal(err)
	}
	var v formats
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Pins) == 0 || len(v.Keys) == 0 || len(v.Certificates) == 0 || len(v.Statements) == 0 || len(v.Digests) == 0 ||
		len(v.Receipts) == 0 || len(v.Tokens) == 0 {
		t.Fatal("a kind of vector is missing")
	}
	for _, c := range v.Pins {
		if got := Pin(unhex(t, c.Root)); got != c.Pin {
			t.Errorf("pin of %s: %s", c.Name, got)
		}
	}
	for _, c := range v.Keys {
		if id := LedgerKeyID(unhex(t, c.Public)); hex.EncodeToString(id[:]) != c.ID {
			t.Errorf("id of %s: %x", c.Name, id)
		}
	}
	certificateVectors(t, &v)
	statementVectors(t, &v)
	receiptVectors(t, &v)
	tokenVectors(t, &v)
}

func certificateVectors(t *testing.T, v *formats) {
	for _, c := range v.Certificates {
		root, public := seed(t, c.Root), ed25519.PublicKey(unhex(t, c.Public))
		got := Certify(root, public, c.NotBefore, c.Expires)
		id, _ := rawURL.DecodeString(got.ID)
		if got.Certificate != c.Certificate || hex.EncodeToString(id) != c.ID {
			t.Errorf("certificate %s: %+v", c.Name, got)
		}
		if input := certificateInput(public, c.NotBefore, c.Expires); hex.EncodeToString(input) != c.Input {
			t.Errorf("certificate %s: input %x", c.Name, input)
		}
		if back, err := got.Verify(root.Public().(ed25519.PublicKey)); err != nil || !back.Equal(public) {
			t.Errorf("certificate %s: %v", c.Name, err)
		}
	}
}

func statementVectors(t *testing.T, v *formats) {
	for _, c := range v.Statements {
		s := Statement{Issuer: c.Issuer, KID: c.KID, Thumbprint: [32]byte(unhex(t, c.Thumbprint)), Alg: c.Alg, Kinds: c.Kinds,
			NotBefore: c.NotBefore, SigningEnds: c.SigningEnds, Expires: c.Expires}
		root := seed(t, c.Root)
		if got := s.Sign(root); got != c.Statement || hex.EncodeToString(s.input()) != c.Input {
			t.Errorf("statement %s: %s over %x", c.Name, got, s.input())
		}
		if !s.Verify(root.Public().(ed25519.PublicKey), c.Statement) {
			t.Errorf("statement %s does not verify", c.Name)
		}
	}
}

func receiptVectors(t *testing.T, v *formats) {
	for _, c := range v.Digests {
		if got := TokenDigest([]byte(c.Header), []byte(c.Payload)); hex.EncodeToString(got[:]) != c.Digest {
			t.Errorf("digest %s: %x", c.Name, got)
		}
	}
	for _, c := range v.Receipts {
		key := seed(t, c.Key)
		id := LedgerKeyID(key.Public().(ed25519.PublicKey))
		sequence, err1 := strconv.ParseUint(c.Sequence, 10, 64)
		ms, err2 := strconv.ParseUint(c.Millis, 10, 64)
		if err1 != nil || err2 != nil || hex.EncodeToString(id[:]) != c.KeyID {
			t.Fatalf("receipt %s: %v, %v, key %x", c.Name, err1, err2, id)
		}
		digest := Digest(unhex(t, c.Digest))
		r := NewReceipt(key, id, sequence, ms, digest)
		if got := rawURL.EncodeToString(r[:]); got != c.Receipt || hex.EncodeToString(r.AppendSigned(nil, digest)) != c.Input {
			t.Errorf("receipt %s: %s over %x", c.Name, got, r.AppendSigned(nil, digest))
		}
		if r.Sequence() != sequence || r.Millis() != ms || r.Key() != id || !r.Verify(key.Public().(ed25519.PublicKey), digest) {
			t.Errorf("receipt %s does not read back", c.Name)
		}
	}
}

func tokenVectors(t *testing.T, v *formats) {
	for _, c := range v.Tokens {
		root, err := rawURL.DecodeString(c.JWKS.Ledger.Root)
		if err != nil || Pin(root) != c.Pin {
			t.Fatalf("token %s: pin %s, %v", c.Name, Pin(root), err)
		}
		public, err := c.JWKS.Ledger.ReceiptKeys[0].Verify(root)
		if err != nil {
			t.Fatalf("token %s: %v", c.Name, err)
		}
		bare, r, err := SplitReceipt([]byte(c.Header))
		if err != nil || string(bare) != c.Bare {
			t.Fatalf("token %s: %s, %v", c.Name, bare, err)
		}
		if got := WithReceipt(nil, bare, &r); string(got) != c.Header {
			t.Errorf("token %s: header %s", c.Name, got)
		}
		digest := TokenDigest(bare, []byte(c.Payload))
		if hex.EncodeToString(digest[:]) != c.Digest || !r.Verify(public, digest) {
			t.Errorf("token %s: the receipt does not cover it", c.Name)
		}
		if c.Name == "usual token" { // which only validators read: no signer writes its claims in this order
			continue
		}
		token, err := ReadToken(bare, []byte(c.Payload))
		if err != nil {
			t.Errorf("token %s: %v", c.Name, err)
			continue
		}
		if string(token.Header(nil)) != c.Bare || string(token.Payload(nil)) != c.Payload {
			t.Errorf("token %s would be written otherwise: %s", c.Name, token.Payload(nil))
		}
	}
}

// No signature of one kind may ever be good for another: the inputs of no two kinds begin alike.
func TestContextsAreApart(t *testing.T) {
	contexts := []string{contextDigest, contextReceipt, contextRoot, contextKeyID, contextCertificate, contextStatement, contextShare, contextSeal, contextHead,
		contextDistrust, contextChain, contextFeedHead, contextSnapshot,
		"seawall-batch-v1\x00", "seawall-checkpoint-v1\x00", "seawall-sealed-key-v1\x00"}
	for i, a := range contexts {
		if strings.IndexByte(a, 0) != len(a)-1 {
			t.Errorf("the context %q does not end in its only zero byte", a)
		}
		for _, b := range contexts[:i] {
			if strings.HasPrefix(a, b) || strings.HasPrefix(b, a) {
				t.Errorf("%q and %q begin alike", a, b)
			}
		}
	}
}

func TestStatementCoversEverything(t *testing.T) {
	_, root, _ := ed25519.GenerateKey(nil)
	public := root.Public().(ed25519.PublicKey)
	good := func() *Statement {
		return &Statement{Issuer: "https://id.example/acme", KID: "k1", Thumbprint: [32]byte{1}, Alg: "ES256", Kinds: []string{"at+jwt"},
			NotBefore: 1, SigningEnds: 2, Expires: 3}
	}
	sig := good().Sign(root)
	if !good().Verify(public, sig) {
		t.Fatal("a good statement does not verify")
	}
	for name, change := range map[string]func(*Statement){
		"issuer":       func(s *Statement) { s.Issuer += "2" },
		"kid":          func(s *Statement) { s.KID = "k2" },
		"split":        func(s *Statement) { s.Issuer, s.KID = s.Issuer+"k", "1" },
		"thumbprint":   func(s *Statement) { s.Thumbprint[31] = 1 },
		"alg":          func(s *Statement) { s.Alg = "ES384" },
		"kind":         func(s *Statement) { s.Kinds = []string{"JWT"} },
		"more kinds":   func(s *Statement) { s.Kinds = []string{"at+jwt", "JWT"} },
		"no kinds":     func(s *Statement) { s.Kinds = nil },
		"nbf":          func(s *Statement) { s.NotBefore = 0 },
		"signing_ends": func(s *Statement) { s.SigningEnds = 9 },
		"exp":          func(s *Statement) { s.Expires = 9 },
	} {
		s := good()
		change(s)
		if s.Verify(public, sig) {
			t.Errorf("the statement does not cover the %s", name)
		}
	}
	_, other, _ := ed25519.GenerateKey(nil)
	if good().Verify(other.Public().(ed25519.PublicKey), sig) {
		t.Error("another root's statement verifies")
	}
	for _, bad := range []string{"", sig[:85], sig + "A", sig[:40] + "\n" + sig[40:], sig + "=", strings.Replace(sig, sig[:1], "+", 1)} {
		if good().Verify(public, bad) {
			t.Errorf("a signature in another spelling verifies (%d characters)", len(bad))
		}
	}
}

func TestCertificateCoversEverything(t *testing.T) {
	_, root, _ := ed25519.GenerateKey(nil)
	public, _, _ := ed25519.GenerateKey(nil)
	other, _, _ := ed25519.GenerateKey(nil)
	for name, change := range map[string]func(*Certificate){
		"nbf":                  func(c *Certificate) { c.NotBefore-- },
		"exp":                  func(c *Certificate) { c.Expires++ },
		"no window":            func(c *Certificate) { *c = Certify(root, public, 200, 200) },
		"a window before 1970": func(c *Certificate) { *c = Certify(root, public, -5, 200) },
		"key":                  func(c *Certificate) { c.X = rawURL.EncodeToString(other) },
		"key and id": func(c *Certificate) {
			c.X, c.ID = rawURL.EncodeToString(other), LedgerKeyID(other).String()
		},
		"id":               func(c *Certificate) { c.ID = LedgerKeyID(other).String() },
		"signature":        func(c *Certificate) { c.Certificate = c.Certificate[:85] },
		"a line end in x":  func(c *Certificate) { c.X = c.X[:20] + "\n" + c.X[20:] },
		"a line end in it": func(c *Certificate) { c.Certificate = c.Certificate[:20] + "\r" + c.Certificate[20:] },
	} {
		c := Certify(root, public, 100, 200)
		change(&c)
		if _, err := c.Verify(root.Public().(ed25519.PublicKey)); err == nil {
			t.Errorf("verified with another %s", name)
		}
	}
}

func TestReceiptCoversEverything(t *testing.T) {
	public, key, _ := ed25519.GenerateKey(nil)
	digest := Digest{1, 2, 3}
	r := NewReceipt(key, LedgerKeyID(public), 7, 8, digest)
	if !r.Verify(public, digest) {
		t.Fatal("a good receipt does not verify")
	}
	for i := range r {
		bad := r
		bad[i] ^= 1
		if bad.Verify(public, digest) {
			t.Errorf("verifies with byte %d altered", i)
		}
	}
	if r.Verify(public, Digest{1, 2, 4}) {
		t.Error("verifies for another token")
	}
}

// The only form a header with a receipt may have.
func TestReceiptForms(t *testing.T) {
	bare := []byte(`{"alg":"ES256","typ":"at+jwt","kid":"k"}`)
	r := Receipt{receiptVersion, 1, 2}
	good := WithReceipt(nil, bare, &r)
	text := string(good[len(good)-receiptText-2 : len(good)-2])
	for name, header := range map[string]string{
		"no receipt":          string(bare),
		"nothing":             "",
		"a receipt alone":     string(good[len(bare)-1:]),
		"not the last":        `{"alg":"ES256","rcpt":"` + text + `","typ":"at+jwt"}`,
		"a space before":      string(bare[:len(bare)-1]) + `, "rcpt":"` + text + `"}`,
		"a space after":       string(good[:len(good)-1]) + " }",
		"another name":        string(bare[:len(bare)-1]) + `,"Rcpt":"` + text + `"}`,
		"an escaped name":     string(bare[:len(bare)-1]) + `,"rcp\u0074":"` + text + `"}`,
		"a shorter text":      string(bare[:len(bare)-1]) + `,"rcpt":"` + text[1:] + `"}`,
		"padding":             string(bare[:len(bare)-1]) + `,"rcpt":"` + text[:118] + `="}`,
		"a line end":          string(bare[:len(bare)-1]) + `,"rcpt":"` + text[:118] + "\n" + `"}`,
		"other spare bits":    string(bare[:len(bare)-1]) + `,"rcpt":"` + text[:118] + `B"}`,
		"standard base64":     string(bare[:len(bare)-1]) + `,"rcpt":"` + "A+" + text[2:] + `"}`,
		"another version":     strings.Replace(string(good), `"rcpt":"AQ`, `"rcpt":"Ag`, 1),
		"bytes after the end": string(good) + "}",
	} {
		if _, _, err := SplitReceipt([]byte(header)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
