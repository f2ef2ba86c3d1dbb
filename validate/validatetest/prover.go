package validatetest

import (
	"crypto/rand"
	"maps"
	"net/http"
	"strings"

	"seawall/validate"
	"seawall/validate/internal/forge"
)

// Prover is a client that holds a DPoP key and makes proofs with it (RFC 9449). It is safe for use by
// many goroutines.
type Prover struct {
	key   *forge.Key
	clock *Clock
}

// NewProver makes a client with a random key. "" means ES256, and a nil clock shows the system's time.
func NewProver(alg validate.Alg, clock *Clock) *Prover {
	if alg == "" {
		alg = validate.ES256
	}
	if clock == nil {
		clock = &Clock{}
	}
	return &Prover{key: forge.NewKey(string(alg), "client"), clock: clock}
}

// Confirmation is what a token's cnf must be to be bound to this client:
//
//	issuer.Token(validatetest.Claims{"aud": audience, "cnf": prover.Confirmation()})
func (p *Prover) Confirmation() map[string]any {
	sum := p.key.Thumbprint()
	return map[string]any{"jkt": forge.Text(sum[:])}
}

// Proof makes a proof for one use of a token, with claims changed; a nil value leaves one out.
func (p *Prover) Proof(token, method, url string, changes ...Claims) string {
	htu := url
	if end := strings.IndexAny(url, "?#"); end >= 0 {
		htu = url[:end]
	}
	c := Claims{"jti": rand.Text(), "htm": method, "htu": htu, "iat": p.clock.Now().Unix(), "ath": forge.AccessTokenHash(token)}
	for _, change := range changes {
		maps.Copy(c, change)
	}
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return p.key.Sign(forge.JSON(p.key.ProofHeader()), forge.JSON(c))
}

// Sign puts a token and a proof into a request, whose URL must be absolute.
func (p *Prover) Sign(r *http.Request, token string, changes ...Claims) {
	r.Header.Set("Authorization", "DPoP "+token)
	r.Header.Set("DPoP", p.Proof(token, r.Method, r.URL.String(), changes...))
}
