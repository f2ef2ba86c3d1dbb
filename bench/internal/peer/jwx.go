package peer

import (
	"errors"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

// jwxLibrary is jwx v3. A key without alg is used for any algorithm that fits it, as its documentation shows for issuers
// that publish such keys; otherwise their tokens would all be refused.
func jwxLibrary(issuer string, keys []key, s Setup) (verify, error) {
	set := jwk.NewSet()
	for _, k := range keys {
		if parsed, err := jwk.ParseKey(k.raw); err == nil {
			_ = set.AddKey(parsed) // only a key that is there already
		}
	}
	return func(token string) (string, error) {
		return anyAudience(s.Audiences, func(audience string) (string, error) {
			t, err := jwt.Parse([]byte(token),
				jwt.WithKeySet(set, jws.WithInferAlgorithmFromKey(true)), jwt.WithIssuer(issuer), jwt.WithAudience(audience),
				jwt.WithRequiredClaim("exp"), jwt.WithAcceptableSkew(s.Leeway), jwt.WithClock(jwt.ClockFunc(s.Now)))
			if err != nil {
				return "", err
			}
			subject, ok := t.Subject()
			if !ok {
				return "", errors.New("no subject")
			}
			return subject, nil
		})
	}, nil
}
