package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"seawall/internal/keyring"
	"seawall/internal/mint"
)

// jwk is a key in the key document: docs/formats.md fixes the members, and RFC 7517 and 7518 what they mean.
type jwk struct {
	Kty         string   `json:"kty"`
	Crv         string   `json:"crv,omitempty"`
	X           string   `json:"x,omitempty"`
	Y           string   `json:"y,omitempty"`
	N           string   `json:"n,omitempty"`
	E           string   `json:"e,omitempty"`
	Kid         string   `json:"kid"`
	Use         string   `json:"use"`
	Alg         string   `json:"alg"`
	Issuer      string   `json:"issuer"`
	TokenKinds  []string `json:"token_kinds"`
	NotBefore   int64    `json:"nbf"`
	SigningEnds int64    `json:"signing_ends"`
	Expires     int64    `json:"exp"`
	Statement   string   `json:"ledger_statement"`
}

type keyDocument struct {
	Keys   []jwk         `json:"keys"`
	Ledger mint.Document `json:"seawall_ledger"`
}

// cacheKeys is the Cache-Control of key documents. It is the figure that the keyring plans with: a key is published for
// longer than this before it signs.
var cacheKeys = "public, max-age=" + strconv.Itoa(int(keyring.JWKSMaxAge/time.Second)) + ", must-revalidate"

// KeyDocument is the key document of one issuer (docs/formats.md), made out of the keys that are published.
func KeyDocument(published []mint.Key, ledger mint.Document) ([]byte, error) {
	doc := keyDocument{Keys: []jwk{}, Ledger: ledger}
	for i := range published {
		k := &published[i]
		doc.Keys = append(doc.Keys, jwk{
			Kty: k.JWK["kty"], Crv: k.JWK["crv"], X: k.JWK["x"], Y: k.JWK["y"], N: k.JWK["n"], E: k.JWK["e"],
			Kid: k.KID, Use: "sig", Alg: k.Alg, Issuer: k.Issuer, TokenKinds: k.Kinds,
			NotBefore: k.NotBefore, SigningEnds: k.SigningEnds, Expires: k.Expires, Statement: k.Statement,
		})
	}
	body, err := encode(doc)
	if err != nil {
		return nil, fmt.Errorf("rendering a key document: %w", err)
	}
	return body, nil
}

func renderKeys(published []mint.Key, ledger mint.Document) (*page, error) {
	body, err := KeyDocument(published, ledger)
	if err != nil {
		return nil, err
	}
	return newPage(body, "application/jwk-set+json", cacheKeys), nil
}

// encode is JSON without escapes that only HTML needs, and without a newline.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
