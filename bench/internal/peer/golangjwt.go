package peer

import (
	"errors"

	"github.com/golang-jwt/jwt/v5"
)

// golangJWT is golang-jwt v5: its key function is written by hand, as its documentation shows.
func golangJWT(issuer string, keys []key, s Setup) (verify, error) {
	byID := map[string]any{}
	for _, k := range keys {
		byID[k.jose.KeyID] = k.jose.Key
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods(s.Algorithms), jwt.WithIssuer(issuer), jwt.WithAudience(s.Audiences...),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(s.Leeway), jwt.WithTimeFunc(s.Now),
	)
	choose := func(t *jwt.Token) (any, error) {
		id, _ := t.Header["kid"].(string)
		if k := byID[id]; k != nil {
			return k, nil
		}
		return nil, errors.New("no such key")
	}
	return func(token string) (string, error) {
		var claims jwt.RegisteredClaims
		if _, err := parser.ParseWithClaims(token, &claims, choose); err != nil {
			return "", err
		}
		return claims.Subject, nil
	}, nil
}
