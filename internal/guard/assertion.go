package guard

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"time"

	"seawall/validate"
)

// AssertionHeader carries what the guard found out. Nothing else in a request tells an API who is calling.
const AssertionHeader = "Seawall-Assertion"

// assertionType is the typ of an assertion, so that it can't be taken for a token (RFC 8725 §3.11).
const assertionType = "seawall-assertion+jwt"

// MaxAssertion is the longest life of an assertion.
const MaxAssertion = 30 * time.Second

// claims is what an assertion says. It holds for one method on one path, so that it is worth nothing on another.
type claims struct {
	Issuer   string `json:"iss"` // the guard's name
	Audience string `json:"aud"` // the API
	Issued   int64  `json:"iat"`
	Expires  int64  `json:"exp"`
	Method   string `json:"method"`
	Path     string `json:"path"` // as in the request, without the query

	// Public is set instead of all that follows where a route needs no token.
	Public  bool       `json:"public,omitempty"`
	Subject string     `json:"sub,omitempty"`
	Client  string     `json:"client_id,omitempty"`
	Scope   string     `json:"scope,omitempty"`
	Tenant  string     `json:"tid,omitempty"`
	Token   *tokenName `json:"token,omitempty"`
}

// tokenName identifies the token, for logs. A subject is unique only together with the issuer.
type tokenName struct {
	Issuer  string `json:"iss"`
	ID      string `json:"jti,omitempty"`
	Digest  string `json:"digest"` // base64url of validate's Token.Digest
	Expires int64  `json:"exp"`
}

// asserter signs assertions with a key that was made at the start and never leaves the process.
type asserter struct {
	name, audience string
	life           time.Duration
	header         string // first segment and the dot behind it
	sign           func(input []byte) ([]byte, error)
	jwks           []byte // RFC 7517 set with the one public key
	memory         memory
}

// newAsserter makes the key: ES256 or EdDSA.
func newAsserter(name, audience string, alg validate.Alg, life time.Duration) (*asserter, error) {
	a := &asserter{name: name, audience: audience, life: life}
	var jwk map[string]string
	switch alg {
	case validate.ES256:
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		point, err := key.PublicKey.Bytes()
		if err != nil {
			return nil, err
		}
		jwk = map[string]string{"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])}
		a.sign = func(input []byte) ([]byte, error) { return signES256(key, input) }
	case validate.EdDSA:
		public, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		jwk = map[string]string{"kty": "OKP", "crv": "Ed25519", "x": encode(public)}
		a.sign = func(input []byte) ([]byte, error) { return ed25519.Sign(key, input), nil }
	default:
		return nil, fmt.Errorf("assertions are signed with ES256 or EdDSA, not %q", alg)
	}
	thumb, err := json.Marshal(jwk) // the required members in alphabetical order (RFC 7638 §3)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(thumb)
	kid := encode(sum[:])
	jwk["alg"], jwk["use"], jwk["kid"] = string(alg), "sig", kid
	if a.jwks, err = json.Marshal(map[string]any{"keys": []any{jwk}}); err != nil {
		return nil, err
	}
	header, err := json.Marshal(map[string]string{"alg": string(alg), "typ": assertionType, "kid": kid})
	if err != nil {
		return nil, err
	}
	a.header = encode(header) + "."
	return a, nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// signES256 gives the two numbers of the signature, 32 bytes each (RFC 7518 §3.4).
func signES256(key *ecdsa.PrivateKey, input []byte) ([]byte, error) {
	digest := sha256.Sum256(input)
	der, err := key.Sign(nil, digest[:], crypto.SHA256) // RFC 6979: nothing depends on a random number
	if err != nil {
		return nil, err
	}
	var pair struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &pair); err != nil {
		return nil, err
	}
	signature := make([]byte, 64)
	pair.R.FillBytes(signature[:32])
	pair.S.FillBytes(signature[32:])
	return signature, nil
}

// assert gives the assertion for one request: t is nil on a public route. One that was made a moment ago for the same token,
// method and path is given again while most of its life is left.
func (a *asserter) assert(now time.Time, method, path string, t *validate.Token) (string, error) {
	key := remembered{method: method, path: path}
	if t != nil {
		key.token = t.Digest()
	}
	if text := a.memory.find(key, now); text != "" {
		return text, nil
	}
	c := claims{
		Issuer: a.name, Audience: a.audience, Issued: now.Unix(), Expires: now.Add(a.life).Unix(),
		Method: method, Path: path, Public: t == nil,
	}
	if t != nil {
		c.Subject, c.Client, c.Tenant, c.Scope = t.Subject(), t.Client(), t.Tenant(), strings.Join(t.Scopes(), " ")
		c.Token = &tokenName{Issuer: t.Issuer(), ID: t.ID(), Digest: encode(key.token[:]), Expires: t.Expires().Unix()}
	}
	var payload bytes.Buffer
	plain := json.NewEncoder(&payload)
	plain.SetEscapeHTML(false) // no browser reads it, and six bytes for one of a path would add up
	if err := plain.Encode(c); err != nil {
		return "", err
	}
	input := a.header + encode(bytes.TrimSpace(payload.Bytes()))
	signature, err := a.sign([]byte(input))
	if err != nil {
		return "", err
	}
	text := input + "." + encode(signature)
	if len(text) <= maxKept { // long paths are rare, and strangers choose them
		a.memory.keep(key, text, now.Add(a.life/3))
	}
	return text, nil
}

// remembered names an assertion: the zero token is the public one.
type remembered struct {
	token  [sha256.Size]byte
	method string
	path   string
}

// memory keeps the latest assertions in two generations: when the young one is full it becomes the old one, which is let
// go. So it is bounded, and what is asked for again stays.
type memory struct {
	mu         sync.Mutex
	young, old map[remembered]kept
}

type kept struct {
	text  string
	until time.Time
}

const (
	generation = 2048
	maxKept    = 2 << 10 // bytes of an assertion that is remembered
)

func (m *memory) find(k remembered, now time.Time) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	found, ok := m.young[k]
	if !ok {
		found, ok = m.old[k]
	}
	if !ok || !now.Before(found.until) {
		return ""
	}
	return found.text
}

func (m *memory) keep(k remembered, text string, until time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.young == nil || len(m.young) >= generation {
		m.young, m.old = make(map[remembered]kept, generation/8), m.young
	}
	m.young[k] = kept{text, until}
}
