package wire_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"testing"

	"seawall/validate/internal/forge"
	"seawall/validate/internal/wire"
)

var update = flag.Bool("update", false, "write the vectors anew")

const path = "../../testdata/vectors/formats.json"

// vectors are the language-neutral vectors; testdata/vectors/README.md explains every field.
type vectors struct {
	Comment      string          `json:"comment"`
	Pins         []pinVector     `json:"pins"`
	LedgerKeys   []keyVector     `json:"ledger_keys"`
	Certificates []certVector    `json:"certificates"`
	Statements   []stmtVector    `json:"key_statements"`
	Digests      []digestVector  `json:"token_digests"`
	Receipts     []receiptVector `json:"receipts"`
	Tokens       []tokenVector   `json:"tokens"`
	Distrust     json.RawMessage `json:"distrust"` // made where the ledger's side is tested, and only carried along here
}

type pinVector struct {
	Name  string `json:"name"`
	Root  string `json:"root"`
	Input string `json:"input"`
	Pin   string `json:"pin"`
}

type keyVector struct {
	Name   string `json:"name"`
	Public string `json:"public"`
	Input  string `json:"input"`
	ID     string `json:"id"`
}

type certVector struct {
	Name        string `json:"name"`
	RootSeed    string `json:"root_seed"`
	Public      string `json:"public"`
	ID          string `json:"id"`
	NotBefore   uint64 `json:"nbf"`
	Expires     uint64 `json:"exp"`
	Input       string `json:"input"`
	Certificate string `json:"certificate"`
}

type stmtVector struct {
	Name        string         `json:"name"`
	RootSeed    string         `json:"root_seed"`
	Issuer      string         `json:"issuer"`
	KeyID       string         `json:"kid"`
	JWK         map[string]any `json:"jwk"`
	Thumbprint  string         `json:"thumbprint"`
	Algorithm   string         `json:"alg"`
	Kinds       []string       `json:"token_kinds"`
	NotBefore   uint64         `json:"nbf"`
	SigningEnds uint64         `json:"signing_ends"`
	Expires     uint64         `json:"exp"`
	Input       string         `json:"input"`
	Statement   string         `json:"ledger_statement"`
}

type digestVector struct {
	Name       string `json:"name"`
	BareHeader string `json:"bare_header"`
	Payload    string `json:"payload"`
	Input      string `json:"input"`
	Digest     string `json:"digest"`
}

type receiptVector struct {
	Name     string `json:"name"`
	Seed     string `json:"ledger_key_seed"`
	KeyID    string `json:"ledger_key_id"`
	Sequence string `json:"sequence"`
	Time     string `json:"time_ms"`
	Digest   string `json:"token_digest"`
	Input    string `json:"input"`
	Receipt  string `json:"receipt"`
}

type tokenVector struct {
	Name       string          `json:"name"`
	Issuer     string          `json:"issuer"`
	Pin        string          `json:"pin"`
	JWKS       json.RawMessage `json:"jwks"`
	BareHeader string          `json:"bare_header"`
	Header     string          `json:"header"`
	Payload    string          `json:"payload"`
	Digest     string          `json:"digest"`
	Token      string          `json:"token"`
}

// seed gives the 32 bytes n, n+1, n+2, …
func seed(n byte) []byte {
	b := make([]byte, 32)
	for i := range b {
		b[i] = n + byte(i)
	}
	return b
}

func private(n byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(seed(n)) }
func public(n byte) ed25519.PublicKey   { return private(n).Public().(ed25519.PublicKey) }

// signer makes ES256 signatures without randomness, so that the file does not change by itself.
type signer struct{ *ecdsa.PrivateKey }

// issuerKey gives the issuer key that the vectors use, whose private scalar is seed(0x41).
func issuerKey() *forge.Key {
	k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed(0x41))
	if err != nil {
		panic(err)
	}
	return &forge.Key{
		Alg: "ES256", ID: "2026-09-a", Signer: signer{k}, Issuer: "https://id.example/acme", Kinds: []string{"at+jwt"},
		NotBefore: 1790000000, SigningEnds: 1792592000, Expires: 1792596000,
	}
}

// idKey gives the key that the vectors use for ID tokens, whose private scalar is seed(0x51).
func idKey() *forge.Key {
	k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed(0x51))
	if err != nil {
		panic(err)
	}
	key := *issuerKey()
	key.ID, key.Signer, key.Kinds = "2026-09-id", signer{k}, []string{"JWT"}
	return &key
}

// edKey gives an Ed25519 issuer key of two kinds with a name outside ASCII.
func edKey() *forge.Key {
	return &forge.Key{
		Alg: "EdDSA", ID: "schlüssel-1", Signer: private(0x61), Issuer: "https://id.example/acme", Kinds: []string{"at+jwt", "JWT"},
		NotBefore: 0, SigningEnds: 1, Expires: 253402300799,
	}
}

func newVectors() vectors {
	v := vectors{Comment: "Made once from fixed seeds. Bytes are lower-case hexadecimal, except where a field is base64url in the protocol. See README.md."}
	for name, n := range map[string]byte{"first root": 0x01, "second root": 0x81} {
		root := public(n)
		v.Pins = append(v.Pins, pinVector{name, hex.EncodeToString(root), hex.EncodeToString(append([]byte("seawall-ledger-root-v1\x00"), root...)), wire.Pin(root)})
	}
	for name, n := range map[string]byte{"first receipt key": 0x21, "second receipt key": 0xa1} {
		id := wire.LedgerKeyID(public(n))
		v.LedgerKeys = append(v.LedgerKeys, keyVector{name, hex.EncodeToString(public(n)), hex.EncodeToString(append([]byte("seawall-ledger-key-v1\x00"), public(n)...)), hex.EncodeToString(id[:])})
	}
	for name, window := range map[string][2]uint64{"usual window": {1790000000, 1797776000}, "widest window": {0, 253402300799}} {
		id, input := wire.LedgerKeyID(public(0x21)), wire.CertificateInput(public(0x21), window[0], window[1])
		v.Certificates = append(v.Certificates, certVector{
			name, hex.EncodeToString(seed(0x01)), hex.EncodeToString(public(0x21)), hex.EncodeToString(id[:]), window[0], window[1],
			hex.EncodeToString(input), forge.Text(ed25519.Sign(private(0x01), input)),
		})
	}
	for name, k := range map[string]*forge.Key{"ES256 key": issuerKey(), "ES256 key for ID tokens": idKey(), "EdDSA key of two kinds": edKey()} {
		s := k.Statement()
		v.Statements = append(v.Statements, stmtVector{
			name, hex.EncodeToString(seed(0x01)), s.Issuer, s.KeyID, k.Public(), hex.EncodeToString(s.Thumbprint[:]), s.Algorithm, s.Kinds,
			s.NotBefore, s.SigningEnds, s.Expires, hex.EncodeToString(s.Input()), forge.Text(ed25519.Sign(private(0x01), s.Input())),
		})
	}
	for name, parts := range map[string][2]string{
		"usual token": {bareHeader, payload}, "empty": {"{}", "{}"},
		"the same bytes cut elsewhere": {bareHeader + "{", payload[1:]}, "text outside ASCII": {bareHeader, `{"sub":"ü用"}`},
	} {
		digest := wire.Digest([]byte(parts[0]), []byte(parts[1]))
		v.Digests = append(v.Digests, digestVector{name, parts[0], parts[1], hex.EncodeToString(wire.AppendDigestInput(nil, []byte(parts[0]), []byte(parts[1]))), hex.EncodeToString(digest[:])})
	}
	for name, at := range map[string][2]uint64{"usual receipt": {41, 1790000123456}, "first entry": {0, 0}, "largest numbers": {1<<64 - 1, 1<<64 - 1}} {
		digest := wire.Digest([]byte(bareHeader), []byte(payload))
		r := wire.Receipt{KeyID: wire.LedgerKeyID(public(0x21)), Sequence: at[0], Time: at[1]}
		input := r.AppendInput(nil, &digest)
		copy(r.Signature[:], ed25519.Sign(private(0x21), input))
		b := r.Bytes()
		v.Receipts = append(v.Receipts, receiptVector{
			name, hex.EncodeToString(seed(0x21)), hex.EncodeToString(r.KeyID[:]), decimal(at[0]), decimal(at[1]), hex.EncodeToString(digest[:]), hex.EncodeToString(input), forge.Text(b[:]),
		})
	}
	v.Tokens = []tokenVector{
		tokenExample("usual token", issuerKey(), bareHeader, payload),
		tokenExample("access token of a person", issuerKey(), bareHeader, personPayload),
		tokenExample("access token of a person, bound to a key", issuerKey(), bareHeader, boundPayload),
		tokenExample("ID token", idKey(), idHeader, idPayload),
	}
	return v
}

const (
	bareHeader = `{"alg":"ES256","typ":"at+jwt","kid":"2026-09-a"}`
	payload    = `{"iss":"https://id.example/acme","sub":"ci","aud":"https://api.acme.example","iat":1790000123,"exp":1790000723,"jti":"b9d6c3","client_id":"ci","scope":"read"}`

	personPayload = `{"iss":"https://id.example/acme","sub":"ada","aud":["https://api.acme.example","https://id.example/acme/userinfo"],"client_id":"web",` +
		`"scope":"openid read",` + signIn + `,"jti":"b9d6c3ZZ3_RZ-v1A","iat":1790000123,"exp":1790000723}`
	boundPayload = `{"iss":"https://id.example/acme","sub":"ada","aud":"https://api.acme.example","client_id":"web",` +
		`"scope":"read",` + signIn + `,"cnf":{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"},"jti":"0AxvXwQ3rZ-_1cJk","iat":1790000123,"exp":1790000723,"region":"eu"}`
	idHeader  = `{"alg":"ES256","typ":"JWT","kid":"2026-09-id"}`
	idPayload = `{"iss":"https://id.example/acme","sub":"ada","aud":"web","nonce":"n-0S6_WzA2Mj",` + signIn + `,"jti":"7kq3Zb1tYw-_Hn5e","iat":1790000123,"exp":1790000723}`
	signIn    = `"auth_time":1790000000,"acr":"phr","amr":["hwk","user"],"sid":"session-7"`
)

func decimal(n uint64) string { return string(forge.JSON(n)) }

// tokenExample is a whole token with the document that a validator needs for it.
func tokenExample(name string, k *forge.Key, bareHeader, payload string) tokenVector {
	ledger := &forge.Ledger{Root: private(0x01), Receipts: private(0x21), NotBefore: 1790000000, Expires: 1797776000}
	header := forge.WithReceipt([]byte(bareHeader), ledger.Receipt([]byte(bareHeader), []byte(payload), 41, 1790000123456))
	digest := wire.Digest([]byte(bareHeader), []byte(payload))
	input := forge.Text(header) + "." + forge.Text([]byte(payload))
	return tokenVector{
		name, k.Issuer, ledger.Pin(), forge.Set(ledger.Document(), ledger.JWK(k)), bareHeader, string(header), payload, hex.EncodeToString(digest[:]),
		input + "." + forge.Text(k.Signer.(signer).deterministic(input)),
	}
}

// deterministic signs as RFC 6979 says; r and s of 32 bytes each.
func (s signer) deterministic(input string) []byte {
	sum := sha256.Sum256([]byte(input))
	der, err := s.PrivateKey.Sign(nil, sum[:], crypto.SHA256)
	if err != nil {
		panic(err)
	}
	r := der[4 : 4+int(der[3])]
	t := der[4+len(r)+2:]
	out := make([]byte, 64)
	place := func(to, n []byte) {
		for len(n) > 0 && n[0] == 0 {
			n = n[1:]
		}
		copy(to[32-len(n):], n)
	}
	place(out[:32], r)
	place(out[32:], t)
	return out
}

// Vectors are what the vaults check their own code against, so they must never change by accident.
func TestVectors(t *testing.T) {
	v := newVectors()
	slices.SortFunc(v.Pins, func(a, b pinVector) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	slices.SortFunc(v.LedgerKeys, func(a, b keyVector) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	slices.SortFunc(v.Certificates, func(a, b certVector) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	slices.SortFunc(v.Statements, func(a, b stmtVector) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	slices.SortFunc(v.Digests, func(a, b digestVector) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	slices.SortFunc(v.Receipts, func(a, b receiptVector) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var there vectors
	if err := json.Unmarshal(have, &there); err != nil {
		t.Fatal(err)
	}
	v.Distrust = there.Distrust
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !*update && !bytes.Equal(have, out.Bytes()) {
		t.Errorf("%s is not what the code makes", path)
	}
}

// The inputs are laid out once more by hand, as docs/formats.md tells it, without package wire.
func TestVectorsByHand(t *testing.T) {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	u64 := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	str := func(s string) []byte { return append(u64(uint64(len(s))), s...) }
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	text := func(s string) []byte {
		b, err := base64.RawURLEncoding.Strict().DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	number := func(s string) (n uint64) {
		if err := json.Unmarshal([]byte(s), &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	same := func(name, field string, got, want []byte) {
		t.Helper()
		if !bytes.Equal(got, want) {
			t.Errorf("%s: %s is %x, want %x", name, field, got, want)
		}
	}
	signed := func(name string, seed string, input []byte, sig string) {
		t.Helper()
		if !ed25519.Verify(ed25519.NewKeyFromSeed(unhex(seed)).Public().(ed25519.PublicKey), input, text(sig)) {
			t.Errorf("%s: the signature does not verify", name)
		}
	}
	for _, p := range v.Pins {
		input := slices.Concat([]byte("seawall-ledger-root-v1\x00"), unhex(p.Root))
		sum := sha256.Sum256(input)
		same(p.Name, "input", unhex(p.Input), input)
		if want := "swl1-" + base64.RawURLEncoding.EncodeToString(sum[:]); p.Pin != want || len(want) != 48 {
			t.Errorf("%s: pin %s, want %s", p.Name, p.Pin, want)
		}
	}
	for _, k := range v.LedgerKeys {
		input := slices.Concat([]byte("seawall-ledger-key-v1\x00"), unhex(k.Public))
		sum := sha256.Sum256(input)
		same(k.Name, "id", unhex(k.ID), sum[:8])
	}
	for _, c := range v.Certificates {
		input := slices.Concat([]byte("seawall-ledger-certificate-v1\x00"), unhex(c.ID), unhex(c.Public), u64(c.NotBefore), u64(c.Expires))
		same(c.Name, "input", unhex(c.Input), input)
		signed(c.Name, c.RootSeed, input, c.Certificate)
	}
	for _, s := range v.Statements {
		canonical, err := json.Marshal(s.JWK) // members in order of their names, no space
		if err != nil {
			t.Fatal(err)
		}
		thumbprint := sha256.Sum256(canonical)
		input := slices.Concat([]byte("seawall-key-statement-v1\x00"), str(s.Issuer), str(s.KeyID), thumbprint[:], str(s.Algorithm), u64(uint64(len(s.Kinds))))
		for _, kind := range s.Kinds {
			input = append(input, str(kind)...)
		}
		input = slices.Concat(input, u64(s.NotBefore), u64(s.SigningEnds), u64(s.Expires))
		same(s.Name, "input", unhex(s.Input), input)
		signed(s.Name, s.RootSeed, input, s.Statement)
	}
	for _, d := range v.Digests {
		input := slices.Concat([]byte("seawall-receipt-v1\x00"), str(d.BareHeader), str(d.Payload))
		sum := sha256.Sum256(input)
		same(d.Name, "input", unhex(d.Input), input)
		same(d.Name, "digest", unhex(d.Digest), sum[:])
	}
	for _, r := range v.Receipts {
		head := slices.Concat([]byte{1}, unhex(r.KeyID), u64(number(r.Sequence)), u64(number(r.Time)))
		input := slices.Concat([]byte("seawall-receipt-signature-v1\x00"), head, unhex(r.Digest))
		same(r.Name, "input", unhex(r.Input), input)
		receipt := text(r.Receipt)
		if len(receipt) != 89 || len(r.Receipt) != 119 {
			t.Fatalf("%s: %d bytes", r.Name, len(receipt))
		}
		same(r.Name, "head", receipt[:25], head)
		signed(r.Name, r.Seed, input, base64.RawURLEncoding.EncodeToString(receipt[25:]))
	}
	for _, x := range v.Tokens {
		tail := len(x.Header) - 130
		same(x.Name, "bare header", []byte(x.Header[:tail]+"}"), []byte(x.BareHeader))
		same(x.Name, "token", []byte(x.Token[:len(forge.Text([]byte(x.Header)))]), []byte(forge.Text([]byte(x.Header))))
	}
}

func TestReceiptParse(t *testing.T) {
	want := wire.Receipt{KeyID: [8]byte{1, 2}, Sequence: 1 << 40, Time: 1790000123456, Signature: [64]byte{9}}
	b := want.Bytes()
	var got wire.Receipt
	if !got.Parse(b[:]) || got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got.Parse(b[:88]) || got.Parse(append(b[:], 0)) {
		t.Error("a receipt of another length was read")
	}
	b[0] = 2
	if got.Parse(b[:]) {
		t.Error("a receipt of version 2 was read")
	}
}
