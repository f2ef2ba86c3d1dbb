package remote

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// newKey makes the key that a login is bound to.
func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// thumbprint names a key (RFC 7638).
func thumbprint(key *ecdsa.PrivateKey) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: &key.PublicKey}).Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(sum), err
}

// claims of a proof (RFC 9449 §4.2).
type claims struct {
	ID       string `json:"jti"`
	Method   string `json:"htm"`
	URL      string `json:"htu"`
	IssuedAt int64  `json:"iat"`
	Token    string `json:"ath,omitempty"`
	Nonce    string `json:"nonce,omitempty"`
}

// prove makes a proof that whoever sends this request has the key. token is what goes with it; empty at the token endpoint.
func prove(key *ecdsa.PrivateKey, method, url, token, nonce string) (string, error) {
	opts := (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, opts)
	if err != nil {
		return "", fmt.Errorf("proving the key: %w", err)
	}
	c := claims{ID: rand.Text(), Method: method, URL: url, IssuedAt: time.Now().Unix(), Nonce: nonce}
	if token != "" {
		sum := sha256.Sum256([]byte(token))
		c.Token = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return jwt.Signed(signer).Claims(c).Serialize()
}
