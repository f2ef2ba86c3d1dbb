package login

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"seawall/internal/tenant"
)

const model = "ee882879-721c-4913-9775-3dfcce97072a"

var modelBytes = [16]byte{0xee, 0x88, 0x28, 0x79, 0x72, 0x1c, 0x49, 0x13, 0x97, 0x75, 0x3d, 0xfc, 0xce, 0x97, 0x07, 0x2a}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func certificate(t testing.TB, template, parent *x509.Certificate, public *ecdsa.PublicKey, by *ecdsa.PrivateKey) (*x509.Certificate, []byte) {
	t.Helper()
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, der
}

func authority(name string) *x509.Certificate {
	return &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
}

func newMaker(t testing.TB) *maker {
	m := &maker{key: newKey(t), unit: newKey(t)}
	root := authority("Test maker")
	m.root, m.der = certificate(t, root, root, &m.key.PublicKey, m.key)
	return m
}

// leaf is an attestation certificate as WebAuthn §8.2.1 wants it.
func (m *maker) leaf(t testing.TB, aaguid [16]byte) []byte {
	value, err := asn1.Marshal(aaguid[:])
	if err != nil {
		t.Fatal(err)
	}
	_, der := certificate(t, &x509.Certificate{SerialNumber: big.NewInt(2), BasicConstraintsValid: true,
		Subject:         pkix.Name{Country: []string{"SE"}, Organization: []string{"Test maker"}, OrganizationalUnit: []string{"Authenticator Attestation"}, CommonName: "Unit"},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4}, Value: value}}}, m.root, &m.unit.PublicKey, m.key)
	return der
}

func (m *maker) sign(t testing.TB, message []byte) []byte {
	digest := sha256.Sum256(message)
	signature, err := ecdsa.SignASN1(rand.Reader, m.unit, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// document is FIDO metadata about one model of a maker, signed under a root of its own, and that root.
func document(t testing.TB, m *maker, status string, protection ...string) (jws, root []byte) {
	t.Helper()
	rootKey, leafKey := newKey(t), newKey(t)
	ca := authority("Test metadata root")
	rootCert, rootDER := certificate(t, ca, ca, &rootKey.PublicKey, rootKey)
	_, leafDER := certificate(t, &x509.Certificate{SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "mds.fidoalliance.org"}, DNSNames: []string{"mds.fidoalliance.org"}}, rootCert, &leafKey.PublicKey, rootKey)
	std := base64.StdEncoding.EncodeToString
	payload := map[string]any{"legalHeader": "for tests", "no": 7, "nextUpdate": "2030-01-01", "entries": []any{map[string]any{
		"aaguid": model, "timeOfLastStatusChange": "2026-01-01", "statusReports": []any{map[string]any{"status": status, "effectiveDate": "2026-01-01"}},
		"metadataStatement": map[string]any{"description": "Test key", "aaguid": model, "authenticatorVersion": 1, "protocolFamily": "fido2", "schema": 3,
			"upv": []any{map[string]any{"major": 1, "minor": 0}}, "authenticationAlgorithms": []any{"secp256r1_ecdsa_sha256_raw"}, "publicKeyAlgAndEncodings": []any{"cose"},
			"attestationTypes": []any{"basic_full"}, "userVerificationDetails": []any{[]any{map[string]any{"userVerificationMethod": "passcode_external"}}},
			"keyProtection": protection, "matcherProtection": []any{"on_chip"}, "attachmentHint": []any{"external"}, "tcDisplay": []any{},
			"attestationRootCertificates": []any{std(m.der)}},
	}}}
	input := encoded(t, map[string]any{"alg": "ES256", "typ": "JWT", "x5c": []string{std(leafDER), std(rootDER)}}) + "." + encoded(t, payload)
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, leafKey, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return []byte(input + "." + b64(signature)), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER})
}

func encoded(t testing.TB, v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b64(text)
}

func TestReadMetadata(t *testing.T) {
	m := newMaker(t)
	jws, root := document(t, m, "FIDO_CERTIFIED", "hardware")
	read, err := ReadMetadata(jws, root)
	if err != nil || read.Models != 1 || read.Number != 7 || read.Until.Year() != 2030 {
		t.Fatalf("read %+v, %v", read, err)
	}
	_, other := document(t, m, "FIDO_CERTIFIED", "hardware")
	altered := append([]byte{}, jws...)
	altered[len(altered)/2] ^= 1
	for name, try := range map[string][2][]byte{
		"another root":       {jws, other},
		"the Alliance's":     {jws, nil},
		"altered":            {altered, root},
		"no document":        {nil, root},
		"no certificate":     {jws, []byte("root")},
		"half a certificate": {jws, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{0x30}})},
	} {
		if _, err := ReadMetadata(try[0], try[1]); err == nil || !strings.HasPrefix(err.Error(), "FIDO metadata: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAttestedTier goes through what an authenticator may claim, and what is made of it.
func TestAttestedTier(t *testing.T) {
	m := newMaker(t)
	for name, c := range map[string]struct {
		status     string
		protection []string
		models     []string
		change     func(*authenticator)
		want       string // problem, or empty
		acr        string
	}{
		"certified hardware":     {status: "FIDO_CERTIFIED", protection: []string{"hardware", "secure_element"}, acr: "phrh"},
		"certified software":     {status: "FIDO_CERTIFIED", protection: []string{"software"}, acr: "phr"},
		"on the list":            {status: "FIDO_CERTIFIED", protection: []string{"hardware"}, models: []string{model}, acr: "phrh"},
		"not on the list":        {status: "FIDO_CERTIFIED", protection: []string{"hardware"}, models: []string{"0bb43545-fd2c-4185-87dd-feb0b2916ace"}, want: "tier"},
		"revoked":                {status: "REVOKED", protection: []string{"hardware"}, want: "unproven"},
		"keys came out":          {status: "USER_KEY_REMOTE_COMPROMISE", protection: []string{"hardware"}, want: "unproven"},
		"without a statement":    {status: "FIDO_CERTIFIED", protection: []string{"hardware"}, change: func(a *authenticator) { a.maker = nil }, want: "tier"},
		"another maker":          {status: "FIDO_CERTIFIED", protection: []string{"hardware"}, change: func(a *authenticator) { a.maker = newMaker(a.t) }, want: "unproven"},
		"an unknown model":       {status: "FIDO_CERTIFIED", protection: []string{"hardware"}, change: func(a *authenticator) { a.aaguid = [16]byte{9} }, want: "unproven"},
		"the zero model":         {status: "FIDO_CERTIFIED", protection: []string{"hardware"}, change: func(a *authenticator) { a.aaguid = [16]byte{} }, want: "unproven"},
		"the zero model, unsaid": {status: "FIDO_CERTIFIED", protection: []string{"hardware"}, change: func(a *authenticator) { a.aaguid, a.maker = [16]byte{}, nil }, want: "tier"},
		"one that may be copied": {status: "FIDO_CERTIFIED", protection: []string{"hardware"}, change: func(a *authenticator) { a.flags |= flagBE | flagBS }, want: "tier"},
	} {
		t.Run(name, func(t *testing.T) {
			jws, root := document(t, m, c.status, c.protection...)
			read, err := ReadMetadata(jws, root)
			if err != nil {
				t.Fatal(err)
			}
			h := newHall(t, func(cfg *Config) { cfg.Metadata = read })
			if _, err := h.store.CompleteTenant(t.Context(), tenant.Tenant{ID: "acme", Passkeys: tenant.Attested, Models: c.models}); err != nil {
				t.Fatal(err)
			}
			b := h.browser()
			a := h.authenticator()
			a.aaguid, a.maker = modelBytes, m
			if c.change != nil {
				c.change(a)
			}
			answer := b.enrol(h.link(h.person("ada@acme.example")), a)
			if answer.problem != c.want {
				t.Fatalf("got %d %q, want %q\n%s", answer.status, answer.problem, c.want, h.log)
			}
			if c.want != "" {
				return
			}
			s, err := h.door.Current(b.request("GET", "/account", nil), h.tenant("acme"))
			if err != nil || s.ACR != c.acr {
				t.Errorf("it proves %+v, %v; want %s", s, err, c.acr)
			}
			_, i := b.asked(tenant.Interaction{Next: "/authorize", Person: s.Person, ACR: tenant.PhishingResistantHardware})
			if c.acr != tenant.PhishingResistantHardware {
				if answer := b.post("/signin/begin", map[string]any{"i": i}); answer.problem != "unmet" {
					t.Errorf("it is asked to prove phrh: %d %q", answer.status, answer.problem)
				}
				return
			}
			if answer := b.finishSignIn(i, a.get(b.beginSignIn(i))); answer.json["next"] != "/acme/authorize" {
				t.Errorf("proving phrh: %d %s", answer.status, answer.body)
			}
		})
	}
}

// TestAttestedTierWithoutMetadata: what can't be checked is refused.
func TestAttestedTierWithoutMetadata(t *testing.T) {
	h := newHall(t, nil)
	if _, err := h.store.CompleteTenant(t.Context(), tenant.Tenant{ID: "acme", Passkeys: tenant.Attested}); err != nil {
		t.Fatal(err)
	}
	if answer := h.browser().enrol(h.link(h.person("ada@acme.example")), h.authenticator()); answer.problem != "unproven" {
		t.Errorf("got %d %q", answer.status, answer.problem)
	}
}
