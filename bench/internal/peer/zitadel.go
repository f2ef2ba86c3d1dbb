package peer

import (
	"context"
	"errors"
	"slices"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// zitadelLibrary is zitadel/oidc's access-token verifier. It leaves the audience to its caller, and it knows no clock but
// the system's.
func zitadelLibrary(issuer string, keys []key, s Setup) (verify, error) {
	set := joseSet{}
	for _, k := range keys {
		set.keys.Keys = append(set.keys.Keys, k.jose)
	}
	verifier := op.NewAccessTokenVerifier(issuer, set, op.WithSupportedAccessTokenSigningAlgorithms(s.Algorithms...))
	return func(token string) (string, error) {
		claims, err := op.VerifyAccessToken[*oidc.AccessTokenClaims](context.Background(), token, verifier)
		if err != nil {
			return "", err
		}
		if !slices.ContainsFunc(claims.Audience, func(a string) bool { return slices.Contains(s.Audiences, a) }) {
			return "", errors.New("another audience")
		}
		return claims.Subject, nil
	}, nil
}

// joseSet is a key set at hand, with the library's own way of choosing a key.
type joseSet struct{ keys jose.JSONWebKeySet }

func (s joseSet) VerifySignature(_ context.Context, jws *jose.JSONWebSignature) ([]byte, error) {
	id, alg := oidc.GetKeyIDAndAlg(jws)
	k, err := oidc.FindMatchingKey(id, oidc.KeyUseSignature, alg, s.keys.Keys...)
	if err != nil {
		return nil, err
	}
	return jws.Verify(&k)
}
