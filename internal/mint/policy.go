package mint

import "context"

// Policy is what a tenant may have minted. The house proposes it; the signer
// clamps it by ceilings that the house cannot write, has the ledger record it
// and only then applies it, from its own directory.
type Policy struct {
	Tenant    string     `json:"tenant"`
	Issuer    string     `json:"issuer"` // bound to the tenant for good by version 1
	Class     string     `json:"class"`
	Version   uint64     `json:"version"` // 1, 2, 3 …, without gaps
	Algorithm string     `json:"algorithm"`
	Audiences []Audience `json:"audiences"`
	// Clients lists those that people sign in to, in order: nobody else gets ID
	// tokens, or access tokens that say how somebody signed in. A tenant that
	// has any has keys for ID tokens too, and an audience that it did not
	// register: UserInfo.
	Clients []string `json:"clients,omitempty"`
	// Claims lists the custom claim names that may appear.
	Claims []string `json:"claims,omitempty"`
	// MaxLifetime is the longest life of any token, in seconds.
	MaxLifetime int64 `json:"max_lifetime"`
	// RotationDays is how long a key signs before the next takes over.
	RotationDays int    `json:"rotation_days"`
	Disabled     bool   `json:"disabled,omitempty"`
	Actor        string `json:"actor"` // who asked, as recorded
}

// Audience is an API (resource server) of a tenant.
type Audience struct {
	ID          string   `json:"id"` // resource identifier, RFC 8707
	Scopes      []string `json:"scopes"`
	MaxLifetime int64    `json:"max_lifetime,omitempty"` // seconds; 0: the tenant's
}

// UserInfo is the audience of the issuer's own UserInfo endpoint (OIDC Core
// §5.3).
func UserInfo(issuer string) string { return issuer + "/userinfo" }

// UserInfoScopes are the scopes of UserInfo: those of OIDC Core §5.4 and §11
// that this house knows.
func UserInfoScopes() []string { return []string{"offline_access", "openid", "profile"} }

// PolicyApplied answers a policy message.
type PolicyApplied struct {
	Version  uint64 `json:"version"`
	Sequence uint64 `json:"sequence"` // its entry in the ledger
}

// Key is the public record of an issuer key: what the signer tells the house,
// what the house publishes, and what the keyring reckons with. Times are Unix
// seconds; 0 means "not yet".
type Key struct {
	Tenant string   `json:"tenant"`
	Issuer string   `json:"issuer"`
	KID    string   `json:"kid"`
	Family Family   `json:"family"`
	Alg    string   `json:"alg"`
	Kinds  []string `json:"token_kinds"`
	// JWK holds the public members of the key type, e.g. kty, crv, x, y.
	JWK        map[string]string `json:"jwk"`
	Thumbprint string            `json:"thumbprint"` // RFC 7638, SHA-256, base64url

	NotBefore   int64 `json:"nbf"`          // verifies from here
	SigningEnds int64 `json:"signing_ends"` // hard: no iat at or after it
	Expires     int64 `json:"exp"`          // hard: no token outlives it

	PublishedAt  int64 `json:"published_at"` // when validators could first fetch it
	ActivatedAt  int64 `json:"activated_at,omitempty"`
	VerifyOnlyAt int64 `json:"verify_only_at,omitempty"`
	RetiredAt    int64 `json:"retired_at,omitempty"`
	SuspendedAt  int64 `json:"suspended_at,omitempty"` // 0 again once it was given back
	RevokedAt    int64 `json:"revoked_at,omitempty"`

	Epoch     uint64 `json:"epoch"`     // steps taken; the ledger has the same number
	Statement string `json:"statement"` // the ledger root's signature
}

// Keys answers [MsgKeys].
type Keys struct {
	Generation uint64   `json:"generation"` // grows with every change
	Ledger     Document `json:"ledger"`
	Keys       []Key    `json:"keys"`
	// More says that there are further tenants: ask again with it as From.
	More string `json:"more,omitempty"`
	// Frozen says why key transitions are frozen; empty when they are not.
	Frozen string `json:"frozen,omitempty"`
}

// KeysQuery asks for one tenant's keys, retired ones included, or for those of
// everybody that are not retired or revoked when Tenant is empty. The answer is
// empty (generation only) when After is the present generation.
type KeysQuery struct {
	Tenant string `json:"tenant,omitempty"`
	After  uint64 `json:"after,omitempty"`
	From   string `json:"from,omitempty"` // the page of tenants after this one
}

// Keys asks the signer for keys and gathers all pages of the answer. The error
// is a *[Refusal] when the signer refused.
func (c *Caller) Keys(ctx context.Context, q KeysQuery) (*Keys, error) {
	whole := new(Keys)
	if err := c.CallJSON(ctx, MsgKeys, q, whole); err != nil {
		return nil, err
	}
	q.After = 0
	for whole.More != "" {
		page := new(Keys)
		q.From = whole.More
		if err := c.CallJSON(ctx, MsgKeys, q, page); err != nil {
			return nil, err
		}
		switch {
		case page.Generation != whole.Generation: // changed in between: begin again
			whole, q.From = new(Keys), ""
			if err := c.CallJSON(ctx, MsgKeys, q, whole); err != nil {
				return nil, err
			}
		case page.More != "" && page.More <= whole.More:
			return nil, Refuse(Malformed, "the signer's pages of keys do not end")
		default:
			whole.Keys, whole.More = append(whole.Keys, page.Keys...), page.More
		}
	}
	return whole, nil
}

// Rotate asks the signer to promote the spare key of a family now.
type Rotate struct {
	Tenant string `json:"tenant"`
	Family Family `json:"family"`
	Actor  string `json:"actor"`
}

// Rotated answers Rotate.
type Rotated struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// ClockAccept tells a vault that a jump of the clock is known and good.
type ClockAccept struct {
	Actor string `json:"actor"`
}

// ClockAccepted answers ClockAccept.
type ClockAccepted struct {
	Was      string `json:"was"` // why transitions were frozen
	Sequence uint64 `json:"sequence"`
}

// Document is the public part of a ledger: what `seawall_ledger` in a key
// document holds (docs/formats.md).
type Document struct {
	Root        string        `json:"root"` // base64url, 32 bytes
	ReceiptKeys []Certificate `json:"receipt_keys"`
}

// Health answers [MsgHealth].
type Health struct {
	Level   string `json:"level"`   // the walls around the process, measured
	Custody string `json:"custody"` // where keys live
	Frozen  string `json:"frozen,omitempty"`
	Ledger  bool   `json:"ledger"` // the signer reaches its ledger
}
