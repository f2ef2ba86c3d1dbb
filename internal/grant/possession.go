package grant

import (
	"context"
	"net/http"

	"seawall/internal/oauth"
	"seawall/internal/tenant"
)

// Proofs checks proofs of possession that come with token requests (RFC 9449 §5).
type Proofs interface {
	// Check returns the proof in the values of a request's DPoP headers, of which there is one at least, or an
	// *[oauth.Error].
	Check(t *tenant.Tenant, headers []string) (Proof, error)
	// Nonce is what the next proof should carry (RFC 9449 §8).
	Nonce() string
}

// Proof is a proof of possession that was found good.
type Proof interface {
	// Thumbprint names the key (RFC 7638).
	Thumbprint() string
	// Use makes the proof count; a second time it is an *[oauth.Error].
	Use(ctx context.Context) error
}

var errNoProof = oauth.Errorf(oauth.InvalidRequest, "The client is registered to prove that it has the key of its tokens, and there is no DPoP header (RFC 9449, section 5).")

// possession returns what the request proves that its client has, nil if nothing and nothing has to be, and notes its key
// in q. The answer tells the next nonce, whatever comes of the request.
func (h *Handler) possession(w http.ResponseWriter, r *http.Request, q *Request) (Proof, error) {
	headers := r.Header["Dpop"]
	if len(headers) == 0 {
		if q.Client.registered.DPoP == tenant.DPoPRequired {
			return nil, errNoProof
		}
		return nil, nil
	}
	w.Header().Set("DPoP-Nonce", h.config.Proofs.Nonce())
	proof, err := h.config.Proofs.Check(q.Tenant, headers)
	if err != nil {
		return nil, err
	}
	q.Key = proof.Thumbprint()
	return proof, nil
}
