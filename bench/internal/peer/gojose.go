package peer

import (
	"errors"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// goJOSE is go-jose v4, which leaves it to its caller that a token must expire at all.
func goJOSE(issuer string, keys []key, s Setup) (verify, error) {
	var set jose.JSONWebKeySet
	for _, k := range keys {
		set.Keys = append(set.Keys, k.jose)
	}
	var algorithms []jose.SignatureAlgorithm
	for _, a := range s.Algorithms {
		algorithms = append(algorithms, jose.SignatureAlgorithm(a))
	}
	return func(token string) (string, error) {
		parsed, err := jwt.ParseSigned(token, algorithms)
		if err != nil {
			return "", err
		}
		var claims jwt.Claims
		if err := parsed.Claims(&set, &claims); err != nil {
			return "", err
		}
		if claims.Expiry == nil {
			return "", errors.New("a token that never expires")
		}
		expected := jwt.Expected{Issuer: issuer, AnyAudience: s.Audiences, Time: s.Now()}
		return claims.Subject, claims.ValidateWithLeeway(expected, s.Leeway)
	}, nil
}
