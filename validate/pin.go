package validate

import (
	"context"
	"fmt"
	"time"

	"seawall/validate/internal/wire"
)

// FetchPin asks a seawall issuer itself for its ledger pin and gives the key document that the pin
// was read from. Whoever answers at that address decides what comes back, so a pin got this way
// proves nothing: show it to a person who can compare it with the one that "seawall api create"
// showed, and never put it into a configuration unseen.
func FetchPin(ctx context.Context, issuer string) (pin string, jwks []byte, err error) {
	if err := checkURL(issuer); err != nil {
		return "", nil, fmt.Errorf("validate: issuer: %w", err)
	}
	r := newRemote(terms{issuer: issuer, seawall: true}, RemoteKeys(issuer+"/jwks"), time.Now, nil)
	defer r.close()
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	a, err := r.get(ctx, r.url, "")
	if err != nil {
		return "", nil, fmt.Errorf("validate: %w", loadErrorf(CodeKeysUnavailable, "loading the keys of %s: %v", issuer, err))
	}
	_, ledger, ok := splitDocument(a.body)
	if !ok {
		return "", nil, fmt.Errorf("validate: %w", loadErrorf(CodeKeysUnavailable, "the key document of %s is not a JWK Set", issuer))
	}
	root, _, ok := readLedger(ledger)
	if !ok {
		return "", nil, fmt.Errorf("validate: %w", loadErrorf(CodeLedgerPin, "the key document of %s has no seawall ledger", issuer))
	}
	return wire.Pin(root), a.body, nil
}
