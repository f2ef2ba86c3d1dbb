// Zitadel is the peer that the bench is held against: the example server of zitadel/oidc v3, which keeps
// everything in memory, compares secrets in the clear and isolates nothing. Two of its answers are changed so
// that it does the same job as seawall: client_credentials gives a JWT access token instead of an encrypted
// handle, and the signing key is ES256 instead of RS256. It logs errors only.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"
)

func main() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	issuer := "http://" + listener.Addr().String() + "/"
	store := memory{storage.NewStorage(storage.NewUserStore(issuer)), key}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	handler := exampleop.SetupServer(issuer, store, logger, false)
	fmt.Println("zitadel: ready at", issuer)
	log.Fatal(http.Serve(listener, handler))
}

// memory is the example's store with an ES256 key and JWT access tokens.
type memory struct {
	*storage.Storage
	key *ecdsa.PrivateKey
}

func (m memory) SigningKey(context.Context) (op.SigningKey, error) { return signingKey{m.key}, nil }

func (m memory) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.ES256}, nil
}

func (m memory) KeySet(context.Context) ([]op.Key, error) {
	return []op.Key{publicKey{&m.key.PublicKey}}, nil
}

func (m memory) ClientCredentials(ctx context.Context, id, secret string) (op.Client, error) {
	client, err := m.Storage.ClientCredentials(ctx, id, secret)
	if err != nil {
		return nil, err
	}
	return jwtClient{client}, nil
}

// jwtClient asks for JWT access tokens.
type jwtClient struct{ op.Client }

func (jwtClient) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }

const keyID = "zitadel"

type signingKey struct{ private *ecdsa.PrivateKey }

func (signingKey) ID() string                                  { return keyID }
func (signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.ES256 }
func (k signingKey) Key() any                                  { return k.private }

type publicKey struct{ public *ecdsa.PublicKey }

func (publicKey) ID() string                         { return keyID }
func (publicKey) Algorithm() jose.SignatureAlgorithm { return jose.ES256 }
func (publicKey) Use() string                        { return "sig" }
func (k publicKey) Key() any                         { return k.public }
